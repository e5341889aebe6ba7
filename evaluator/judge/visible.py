"""Text as a reader sees it: what is invisible, or changes how the rest looks, is written out."""

import unicodedata

ESCAPED = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Control, format (bidirectional and zero-width characters, tags), unassigned, private use,
surrogates, line and paragraph separators."""
IGNORABLE = (
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""What those categories lack of the characters that are drawn as nothing: fillers, variation
selectors, the empty Braille pattern. Source: Unicode, Default_Ignorable_Code_Point."""


def visible(text: str) -> str:
    """`text` with such characters as ``<U+202E>``; tabs and ends of lines stay."""
    return text.replace("\r\n", "\n").translate(_TABLE)


class _Table(dict[int, str]):
    """Filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        hidden = unicodedata.category(character) in ESCAPED or any(
            first <= code <= last for first, last in IGNORABLE
        )
        self[code] = f"<U+{code:04X}>" if hidden else character
        return self[code]


_TABLE = _Table({ord("\n"): "\n", ord("\t"): "\t"})
