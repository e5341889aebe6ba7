"""Raw files that are empty or were cut short: found where they are moved, named, and counted.

Kaggle's own data holds a few such files, so a few are told and taken as they are; a folder with
many of them is a copy that broke off.
"""

from itertools import count

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.prepared import OddFiles
from proctor.tasks.competitions.raw.ends import KNOWN, ending_of, is_cut

FEW, SHARE = 5, 0.01
"""So many, or that share of those that were looked into, may have been odd on Kaggle already."""
NAMED = 100
"""So many are kept by name."""


class Odd:
    """What was found so far; several threads may add to it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._looked = count()
        self._found: set[str] = set()  # one file may come to lie at two places
        self._else_empty: set[str] = set()

    def look(self, path: str, place: str, size: int) -> None:
        """Look at a file of a folder.

        Args:
            path: What it is called among the raw files.
            place: Where it lies, itself or a copy.
            size: Its size in bytes.
        """
        ending = ending_of(path)
        if ending not in KNOWN:
            self.empty(path, size)
            return
        next(self._looked)
        if not size:
            self._found.add(f"{path} (empty)")
        elif is_cut(place, ending, size):
            self._found.add(f"{path} (cut short)")

    def empty(self, path: str, size: int) -> None:
        """Note a file that may be empty for a reason, or was so in its archive."""
        if not size:
            self._else_empty.add(f"{path} (empty)")

    def files(self) -> OddFiles:
        """All that was found."""
        names = sorted(self._found | self._else_empty)
        return OddFiles(count=len(names), named=tuple(names[:NAMED]))

    def check(self) -> None:
        """Check that they are not too many.

        Raises:
            TaskError: They are: the copy is broken.
        """
        looked, found = next(self._looked), len(self._found)
        if found and (found == looked or found > max(FEW, looked * SHARE)):
            files = OddFiles(count=found, named=tuple(sorted(self._found)[:NAMED]))
            raise TaskError(
                f"{found} of {looked} files are empty or cut short: {files.said()}; this copy of "
                "the raw files is broken: download them again, or give their .zip archive as it "
                "is, whose members have checksums"
            )
