"""From an address to a file: what broke off goes on where it broke off, or begins again.

NAME.part         what has come so far
NAME.part.json    of which version of it: size, and the server's mark of its version
NAME              the whole, by renaming
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import requests

from proctor.tasks.competitions.download.kaggle import TIMEOUT_S, Address
from proctor.tasks.competitions.download.patience import SERVER_FAILED, ExpiredError, Patience
from proctor.tasks.competitions.progress import Progress

CHUNK = 1 << 16
"""Bytes that are written at once, and so the most that is lost where a connection breaks."""
PARTIAL = 206
UNSATISFIABLE = 416
CLIENT_FAILED = 400


class _Version(NamedTuple):
    """Of what is downloaded; parts of two versions are never put together."""

    mark: str
    size_bytes: int


def transfer(
    opened: Callable[[], Address], into: Path, patience: Patience, progress: Progress
) -> Path:
    """Download a file, unless it is there.

    Args:
        opened: Asks for an address; called before each try, since addresses expire.
        into: Where the file appears, whole.
        patience: What tries again.
        progress: What is told of the bytes.

    Returns:
        `into`.

    Raises:
        TaskError: It cannot be had.
        OSError: It cannot be written.
    """
    if not into.exists():
        part = into.with_name(f"{into.name}.part")
        patience(lambda: _go_on(opened(), part, progress), got=lambda: _size(part))
        part.rename(into)
        _note(part).unlink(missing_ok=True)
    return into


def held_bytes(into: Path) -> int:
    """How much of a file has come."""
    return _size(into) or _size(into.with_name(f"{into.name}.part"))


def _go_on(address: Address, part: Path, progress: Progress) -> None:
    """Append what is missing, or write all of it.

    Raises:
        requests.RequestException: The connection broke; what came before is kept.
        ExpiredError: The address is not good any more.
    """
    headers = {**address.headers, "Accept-Encoding": "identity"}
    known, held = _read_version(part), _size(part)
    if known and 0 < held <= known.size_bytes:
        headers |= {"Range": f"bytes={held}-", "If-Range": known.mark}
    with requests.get(address.url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == UNSATISFIABLE:  # all of it is there, or of another version
            if not (known and held == known.size_bytes and _total(response) == held):
                part.unlink(missing_ok=True)
                raise ExpiredError
            return
        if CLIENT_FAILED <= response.status_code < SERVER_FAILED and "Retry-After" not in (
            response.headers
        ):
            raise ExpiredError  # whoever may not download at all was told so before
        response.raise_for_status()
        goes_on = response.status_code == PARTIAL
        if goes_on and _start(response) != held:
            part.unlink(missing_ok=True)
            raise ExpiredError
        size = _total(response) if goes_on else _length(response)
        if not goes_on:
            _write_version(part, response, size)
        progress.step("download", size, "bytes")
        progress.advance(held if goes_on else 0)
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                progress.advance(len(chunk))
    if size is not None and _size(part) != size:
        raise requests.ConnectionError("fewer bytes came than were said")


def _read_version(part: Path) -> _Version | None:
    """What the part is of; None where that is not known, so that it begins again."""
    try:
        said: dict[str, Any] = json.loads(_note(part).read_text("utf-8"))
        return _Version(str(said["mark"]), int(said["size_bytes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_version(part: Path, response: requests.Response, size: int | None) -> None:
    """Note what is coming, after what was there is gone, which was perhaps of another version."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)
    tag = response.headers.get("ETag", "")
    mark = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    if mark and size is not None:
        _note(part).write_text(json.dumps(_Version(mark, size)._asdict()), "utf-8")


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _length(response: requests.Response) -> int | None:
    stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() else None


def _total(response: requests.Response) -> int | None:
    stated = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(stated) if stated.isdecimal() else None


def _start(response: requests.Response) -> int | None:
    stated = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(stated) if stated.isdecimal() else None
