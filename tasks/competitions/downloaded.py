"""What a download leaves beside a competition's files, told apart from what a user put there.

DATA/ID/raw               what came, or what a user put there
DATA/ID/.raw.downloaded   it came, and may be removed
DATA/ID/raw.partial/      on the way there: what a killed process leaves, and the next goes on with
DATA/ID/.raw.lock         held by whoever downloads
"""

import shutil
from pathlib import Path


def lock_of(raw: Path) -> Path:
    """What keeps two processes from downloading the same; never removed, since one may wait."""
    return raw.with_name(f".{raw.name}.lock")


def mark_of(raw: Path) -> Path:
    """What tells that raw files were downloaded."""
    return raw.with_name(f".{raw.name}.downloaded")


def partial_of(raw: Path) -> Path:
    """Where what is on the way lies."""
    return raw.with_name(f"{raw.name}.partial")


def forget(raw: Path) -> None:
    """Remove raw files that were downloaded, not those that a user put there."""
    if mark_of(raw).exists():
        for folder in (raw, partial_of(raw)):
            shutil.rmtree(folder, ignore_errors=True)
        mark_of(raw).unlink(missing_ok=True)
