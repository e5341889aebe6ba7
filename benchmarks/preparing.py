"""Whether preparing a competition of images is bound by the disk: against copying the same files.

Makes raw files as aerial-cactus-identification has them, but 3,000 of 200 KB, of random bytes,
prepares the competition from a folder and from ``train.zip``, and prints the median ratio, pair by
pair, to ``cp -r`` of that folder and to ``unzip`` of that archive, each until the disk has all of
it: ``python benchmarks/preparing.py [PAIRS]``. The aim: below 1.5.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from proctor.tasks.competitions.library import Competitions
from proctor.tasks.competitions.preparing.prepare import prepare

NAME = "aerial-cactus-identification"
FILES, FILE_BYTES = 3000, 200_000


def make_raw(folder: Path, archive: Path) -> None:
    """Write the raw files: unpacked, and with the images in an archive."""
    draw = random.Random(0)  # noqa: S311 - only noise
    ids = [f"{draw.getrandbits(128):032x}.jpg" for _ in range(FILES)]
    table = "id,has_cactus\n" + "".join(f"{each},{draw.randrange(2)}\n" for each in ids)
    for place in (folder, archive):
        (place / "train").mkdir(parents=True)
        (place / "train.csv").write_text(table)
    (archive / "train").rmdir()
    with zipfile.ZipFile(archive / "train.zip", "w") as packed:
        for each in ids:
            data = draw.randbytes(FILE_BYTES)
            (folder / "train" / each).write_bytes(data)
            packed.writestr(f"train/{each}", data)


def seconds(work: Callable[[Path], object], root: Path) -> float:
    """Wall-clock seconds until the disk has what is made in a new directory."""
    place = Path(tempfile.mkdtemp(dir=root))
    os.sync()
    started = time.perf_counter()
    work(place)
    os.sync()
    taken = time.perf_counter() - started
    shutil.rmtree(place)
    return taken


def prepare_from(raw: Path) -> Callable[[Path], object]:
    """Prepares the competition in a directory."""
    definition = Competitions(raw).definition(NAME)
    return lambda place: prepare(definition, place, raw=raw)


def run(*command: str) -> None:
    """Run a command that must not fail."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main(pairs: int) -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        folder, archive = root / "folder", root / "archive"
        make_raw(folder, archive)

        def copied(place: Path) -> None:
            run("cp", "-r", str(folder), str(place))

        def unzipped(place: Path) -> None:
            run("unzip", "-q", str(archive / "train.zip"), "-d", str(place))

        for what, raw, peer in (
            ("from a folder, against cp -r", folder, copied),
            ("from a zip, against unzip", archive, unzipped),
        ):
            times = [(seconds(prepare_from(raw), root), seconds(peer, root)) for _ in range(pairs)]
            ratio = statistics.median(ours / theirs for ours, theirs in times)
            ours, theirs = (statistics.median(each) for each in zip(*times, strict=True))
            print(f"{FILES} files {what}: {ours:.2f} s against {theirs:.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
