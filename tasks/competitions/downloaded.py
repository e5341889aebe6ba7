"""What a download leaves beside a competition's files, told apart from what a user put there.

DATA/ID/raw            what came, or what a user put there
DATA/ID/raw.partial/   on the way there: what a killed process leaves, and the next goes on with
DATA/ID/.raw.lock      it was a download, or is one
"""

import shutil
from pathlib import Path


def lock_of(raw: Path) -> Path:
    """Held by whoever downloads; stays as long as what was downloaded."""
    return raw.with_name(f".{raw.name}.lock")


def partial_of(raw: Path) -> Path:
    """Where what is on the way lies."""
    return raw.with_name(f"{raw.name}.partial")


def forget(raw: Path) -> None:
    """Remove raw files, unless it was a user who put them there."""
    if lock_of(raw).exists():
        shutil.rmtree(raw, ignore_errors=True)
        shutil.rmtree(partial_of(raw), ignore_errors=True)
        lock_of(raw).unlink(missing_ok=True)
