"""Files: whole or not at all, below their root, errors that are the builtins."""

import errno
import io

from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.contract.kit import (
    SPEC,
    bash,
    expect_equal,
    expect_raises,
    expect_soon,
)

BINARY = bytes(range(256)) * 5000
TEN_LINES = b"".join(b"line %d\n" % n for n in range(1, 11))


async def a_file_written_is_read_back_and_keeps_its_mode(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await sandbox.write("a/b/c.bin", io.BytesIO(BINARY))
        read = await sandbox.fetch("a/b/c.bin", max_bytes=len(BINARY))
        expect_equal(read, BINARY, "a file that was written")
        await bash(sandbox, "chmod 755 a/b/c.bin")
        await sandbox.write("a/b/c.bin", io.BytesIO(b"#!/bin/sh\necho ran\n"))
        expect_equal(await bash(sandbox, "a/b/c.bin"), "ran\n", "a script written over it")
        await sandbox.write("a/b/c.bin", io.BytesIO(b""), mode=0o640)
        expect_equal(await bash(sandbox, "stat -c %a a/b/c.bin"), "640\n", "the mode asked for")


async def an_empty_file_is_written_and_read(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await sandbox.write("empty", io.BytesIO(b""))
        expect_equal(await sandbox.fetch("empty", max_bytes=10), b"", "an empty file")


async def what_commands_and_file_operations_write_is_each_others(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await sandbox.write("d/f", io.BytesIO(b"1\n"))
        said = await bash(sandbox, "echo 2 >> d/f; echo 3 > d/g; cat d/f; rm d/f")
        expect_equal(said, "1\n2\n", "a written file that a command adds to")
        expect_equal(await sandbox.fetch("d/g", max_bytes=10), b"3\n", "a command's own file")
        with expect_raises(FileNotFoundError):
            await sandbox.fetch("d/f", max_bytes=10)


async def paths_are_relative_to_the_root_that_is_named(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        root = sandbox.info.scratch
        await bash(sandbox, f"mkdir {root}/own")
        root = f"{root}/own"
        await sandbox.write("f", io.BytesIO(b"1"), root=root)
        expect_equal(await sandbox.fetch("f", max_bytes=10, root=root), b"1", f"a file of {root}")
        entries, total = await sandbox.list("", root=root)
        expect_equal(([entry.name for entry in entries], total), (["f"], 1), f"a list of {root}")
        expect_equal(await sandbox.list(""), ((), 0), "the workspace beside it")


async def lines_are_read_from_an_offset_with_a_limit(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await sandbox.write("f", io.BytesIO(TEN_LINES))
        part = await sandbox.read("f", offset=3, limit=2, max_bytes=1000)
        seen = (part.data, part.last_line, part.whole)
        expect_equal(seen, (b"line 3\nline 4\n", 4, False), "two lines from line 3 on")
        expect_equal(part.size, len(TEN_LINES), "the whole file's size")
        part = await sandbox.read("f", offset=10, max_bytes=1000)
        seen = (part.data, part.last_line, part.whole)
        expect_equal(seen, (b"line 10\n", 10, True), "the last line")
        part = await sandbox.read("f", max_bytes=9)
        seen = (part.data, part.last_line, part.whole)
        expect_equal(seen, (b"line 1\nli", 2, False), "the first nine bytes")


async def reading_what_cannot_be_read_raises_the_builtin_that_says_so(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; mkfifo fifo; echo 12345 > f")
        with expect_raises(FileNotFoundError, "nope"):
            await sandbox.fetch("nope", max_bytes=10)
        with expect_raises(FileNotFoundError, "nope"):
            await sandbox.read("nope", max_bytes=10)
        with expect_raises(FileNotFoundError, "nope"):
            await sandbox.list("nope")
        with expect_raises(IsADirectoryError):
            await sandbox.fetch("d", max_bytes=10)
        with expect_raises(NotADirectoryError):
            await sandbox.fetch("f/below", max_bytes=10)
        with expect_raises(NotADirectoryError):
            await sandbox.list("f")
        with expect_soon("a FIFO to be refused"), expect_raises(OSError, "not a regular file"):
            await sandbox.fetch("fifo", max_bytes=10)


async def a_file_larger_than_allowed_is_not_fetched(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await sandbox.write("f", io.BytesIO(b"1234"))
        expect_equal(await sandbox.fetch("f", max_bytes=4), b"1234", "a file of just that size")
        try:
            await sandbox.fetch("f", max_bytes=3)
        except OSError as error:
            expect_equal(error.errno, errno.EFBIG, "the errno of a file that is too large")
        else:
            raise AssertionError("expected OSError for a file larger than max_bytes")


async def writing_where_nothing_can_be_written_raises_the_builtin_that_says_so(
    backend: Backend,
) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; touch f")
        with expect_raises(IsADirectoryError):
            await sandbox.write("d", io.BytesIO(b"1"))
        with expect_raises(NotADirectoryError):
            await sandbox.write("f/below", io.BytesIO(b"1"))
        expect_equal(await bash(sandbox, "ls"), "d\nf\n", "the workspace afterwards")


async def links_are_followed_only_below_their_root(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        outside = f"{sandbox.info.scratch}/outside"
        await bash(sandbox, f"echo 1 > in; ln -s in near; echo 2 > {outside}; ln -s {outside} far")
        expect_equal(await sandbox.fetch("near", max_bytes=10), b"1\n", "what a near link leads to")
        for path in ("far", outside, "../outside"):
            with expect_raises(OSError):
                await sandbox.fetch(path, max_bytes=10)


async def a_directory_lists_its_entries_sorted_by_name(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir b; echo 123 > a; ln -s a c; mkfifo d")
        entries, total = await sandbox.list("")
        some, of_all = await sandbox.list("", max_entries=2)
    seen = [(entry.name, entry.kind, entry.size) for entry in entries]
    wanted = [("a", "file", 4), ("b", "directory", 0), ("c", "symlink", 0), ("d", "other", 0)]
    expect_equal(seen, wanted, "the entries")
    expect_equal(total, len(wanted), "how many there are")
    expect_equal((len(some), of_all), (2, len(wanted)), "two of them, and how many there are")
