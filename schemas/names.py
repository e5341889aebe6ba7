"""Names as users write them: with a prefix or without, and perhaps misspelt."""

from collections.abc import Iterable

COMPETITION = "competition/"
"""What the id of a competition's task has before the competition's own."""
NEAR = 60
"""Of 100: from so much likeness on, one name may have been meant for another."""


def bare(name: str) -> str:
    """A competition's own id; other names as they are."""
    return name.removeprefix(COMPETITION)


def remedy(name: str, known: Iterable[str], otherwise: str) -> str:
    """What to do about a name that is not known: ``did you mean low?``, or something else.

    Args:
        name: As it was written.
        known: The names that there are, of which prefixes and capitals do not count.
        otherwise: What to do where none of them is near.
    """
    from rapidfuzz.fuzz import ratio  # noqa: PLC0415 - only errors need it
    from rapidfuzz.process import extractOne  # noqa: PLC0415
    from rapidfuzz.utils import default_process  # noqa: PLC0415

    names = {each: bare(each) for each in known}
    near = extractOne(bare(name), names, scorer=ratio, processor=default_process, score_cutoff=NEAR)
    return f"did you mean {near[2]}?" if near else otherwise
