"""Files: read, written, listed, frozen and restored."""

import io

import anyio

from proctor.sandbox_backends.archive import pack, regular_files
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.contract.checking import (
    SPEC,
    NotApplicableError,
    bash,
    raises,
)
from proctor.schemas.errors import SubmissionError


async def snapshot_of(sandbox: Sandbox) -> bytes:
    """A sandbox's workspace, frozen."""
    target = io.BytesIO()
    await sandbox.snapshot(target, max_bytes=10 << 20)
    return target.getvalue()


async def a_missing_working_directory_is_data(backend: Backend) -> None:
    """A missing working directory is data."""
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["true"], timeout_s=30, cwd="/no/such/place")
    assert result.exit_code == 126
    assert "/no/such/place" in result.stderr.text()


async def a_file_written_is_read_back_and_keeps_its_mode(backend: Backend) -> None:
    """A file written is read back and keeps its mode."""
    data = bytes(range(256)) * 5000
    async with backend(SPEC) as sandbox:
        await sandbox.write("a/b/c.bin", io.BytesIO(data))
        assert await sandbox.fetch("a/b/c.bin", max_bytes=len(data)) == data
        await bash(sandbox, "chmod 755 a/b/c.bin")
        await sandbox.write("a/b/c.bin", io.BytesIO(b"#!/bin/sh\necho ran\n"))
        assert await bash(sandbox, "a/b/c.bin") == "ran\n"


async def an_empty_file_is_written_and_read(backend: Backend) -> None:
    """An empty file is written and read."""
    async with backend(SPEC) as sandbox:
        await sandbox.write("empty", io.BytesIO(b""))
        assert await sandbox.fetch("empty", max_bytes=10) == b""


async def lines_are_read_from_an_offset_with_a_limit(backend: Backend) -> None:
    """Lines are read from an offset with a limit."""
    async with backend(SPEC) as sandbox:
        await sandbox.write("f", io.BytesIO(b"".join(b"line %d\n" % n for n in range(1, 11))))
        part = await sandbox.read("f", offset=3, limit=2, max_bytes=1000)
        assert (part.data, part.last_line, part.whole) == (b"line 3\nline 4\n", 4, False)
        part = await sandbox.read("f", offset=10, max_bytes=1000)
        assert (part.data, part.last_line, part.whole) == (b"line 10\n", 10, True)
        part = await sandbox.read("f", max_bytes=9)
        assert (part.data, part.last_line, part.whole) == (b"line 1\nli", 2, False)


async def reading_what_cannot_be_read_raises_the_builtin_that_says_so(
    backend: Backend,
) -> None:
    """Reading what cannot be read raises the builtin that says so."""
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; mkfifo fifo; echo 12345 > f")
        with raises(FileNotFoundError, "nope"):
            await sandbox.fetch("nope", max_bytes=10)
        with raises(IsADirectoryError):
            await sandbox.fetch("d", max_bytes=10)
        with raises(NotADirectoryError):
            await sandbox.fetch("f/below", max_bytes=10)
        with raises(OSError, "not a regular file"), anyio.fail_after(20):
            await sandbox.fetch("fifo", max_bytes=10)
        with raises(OSError, "larger than 3"):
            await sandbox.fetch("f", max_bytes=3)
        with raises(NotADirectoryError):
            await sandbox.list("f")


async def a_directory_lists_its_entries_sorted_by_name(backend: Backend) -> None:
    """A directory lists its entries sorted by name."""
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir b; echo 123 > a; ln -s a c; mkfifo d")
        entries, total = await sandbox.list("")
    assert [(e.name, e.kind, e.size) for e in entries] == [
        ("a", "file", 4), ("b", "directory", 0), ("c", "symlink", 0), ("d", "other", 0),
    ]  # fmt: skip
    assert total == 4


async def equal_workspaces_give_equal_snapshots(backend: Backend) -> None:
    """Equal workspaces give equal snapshots."""
    tree = {"b/x.txt": b"1", "a.txt": b"2", "ä ö.txt": b"3"}
    snapshots: list[bytes] = []
    for _ in range(2):
        async with backend(SPEC) as sandbox:
            await sandbox.restore(pack(tree))
            await bash(sandbox, "mkdir -p b/__pycache__; date +%N > b/__pycache__/x.pyc")
            snapshots.append(await snapshot_of(sandbox))
    assert snapshots[0] == snapshots[1]
    found = {name: content.read() for name, _, content in regular_files(io.BytesIO(snapshots[0]))}
    assert found == tree


async def a_snapshot_restores_files_modes_and_links_but_no_devices(backend: Backend) -> None:
    """A snapshot restores files modes and links but no devices."""
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; echo hi > d/f; chmod 755 d/f; ln -s d/f link; mkfifo fifo")
        first = await snapshot_of(sandbox)
    async with backend(SPEC) as sandbox:
        await sandbox.restore(io.BytesIO(first))
        listing = await bash(sandbox, "stat -c '%A %n' d/f; readlink link; cat link; ls")
    assert listing == "-rwxr-xr-x d/f\nd/f\nhi\nd\nlink\n"


async def a_snapshot_that_is_too_large_is_refused(backend: Backend) -> None:
    """A snapshot that is too large is refused."""
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "head -c 3M /dev/zero > big; mkdir many; touch many/{1..50}")
        with raises(SubmissionError, "more than 1 MiB, at big"):
            await sandbox.snapshot(io.BytesIO(), max_bytes=1 << 20)
        with raises(SubmissionError, "more than 20 files"):
            await sandbox.snapshot(io.BytesIO(), max_bytes=1 << 30, max_files=20)
        assert await bash(sandbox, "echo still here") == "still here\n"


async def a_file_that_cannot_be_read_is_left_out_of_the_snapshot(backend: Backend) -> None:
    """A file that cannot be read is left out of the snapshot."""
    async with backend(SPEC) as sandbox:
        if sandbox.info.isolation == "none":
            raise NotApplicableError("without isolation, the server's user may read everything")
        await bash(sandbox, "echo 1 > secret; chmod 000 secret; echo 2 > open")
        target = io.BytesIO()
        about = await sandbox.snapshot(target, max_bytes=1 << 20)
    assert about.skipped == ("'secret'",)


CHECKS = (
    a_missing_working_directory_is_data,
    a_file_written_is_read_back_and_keeps_its_mode,
    an_empty_file_is_written_and_read,
    lines_are_read_from_an_offset_with_a_limit,
    reading_what_cannot_be_read_raises_the_builtin_that_says_so,
    a_directory_lists_its_entries_sorted_by_name,
    equal_workspaces_give_equal_snapshots,
    a_snapshot_restores_files_modes_and_links_but_no_devices,
    a_snapshot_that_is_too_large_is_refused,
    a_file_that_cannot_be_read_is_left_out_of_the_snapshot,
)
