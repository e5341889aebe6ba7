"""Snapshots: equal content gives equal bytes, bounded, and restores to what it was."""

import io

from proctor.sandbox_backends.archive import pack, regular_files
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.contract.kit import (
    SPEC,
    NotApplicableError,
    bash,
    expect,
    expect_equal,
    expect_raises,
    snapshot_of,
)
from proctor.schemas.errors import SubmissionError
from proctor.schemas.sandbox import MEBIBYTE

TREE = {"b/x.txt": b"1", "a.txt": b"2", "ä ö.txt": b"3"}


async def equal_workspaces_give_equal_snapshots(backend: Backend) -> None:
    taken: list[bytes] = []
    for touched in ("a.txt", "b/x.txt"):
        async with backend(SPEC) as sandbox:
            await sandbox.restore(pack(TREE))
            await bash(sandbox, f"touch -d '2001-02-03 04:05:06' {touched}")
            await bash(sandbox, "mkdir -p b/__pycache__; date +%N > b/__pycache__/x.pyc")
            taken.append(await snapshot_of(sandbox))
    found = {name: content.read() for name, _, content in regular_files(io.BytesIO(taken[0]))}
    expect_equal(found, TREE, "the files of a snapshot, without __pycache__")
    expect(taken[0] == taken[1], "equal workspaces to give equal bytes")


async def a_snapshot_says_what_it_holds(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; echo hi > d/f; ln -s d/f link; mkfifo fifo")
        about = await sandbox.snapshot(io.BytesIO(), max_bytes=MEBIBYTE)
    expect_equal((about.files, about.bytes), (1, 3), "how many plain files and bytes it holds")
    expect_equal(len(about.skipped), 1, "how many things, a FIFO, it could not keep")


async def a_snapshot_restores_files_modes_and_links_but_no_devices(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; echo hi > d/f; chmod 755 d/f; ln -s d/f link; mkfifo fifo")
        first = await snapshot_of(sandbox)
    async with backend(SPEC) as sandbox:
        await sandbox.restore(io.BytesIO(first))
        listing = await bash(sandbox, "stat -c '%A %n' d/f; readlink link; cat link; ls")
    expect_equal(listing, "-rwxr-xr-x d/f\nd/f\nhi\nd\nlink\n", "what was restored")


async def restoring_lays_files_over_what_is_there_at_the_root_that_is_named(
    backend: Backend,
) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "echo old > a.txt; echo kept > c.txt")
        await sandbox.restore(pack(TREE))
        expect_equal(await bash(sandbox, "cat a.txt c.txt"), "2kept\n", "replaced and kept files")
        root = sandbox.info.scratch
        await sandbox.restore(pack({"only/here.txt": b"4"}), root=root)
        expect_equal(await bash(sandbox, f"cat {root}/only/here.txt"), "4", f"a file of {root}")
        expect_equal(await bash(sandbox, "ls"), "a.txt\nb\nc.txt\nä ö.txt\n", "the workspace")


async def a_snapshot_that_is_too_large_is_refused(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "head -c 3M /dev/zero > big; mkdir many; touch many/{1..50}")
        with expect_raises(SubmissionError, "more than 1 MiB, at big"):
            await sandbox.snapshot(io.BytesIO(), max_bytes=MEBIBYTE)
        with expect_raises(SubmissionError, "more than 20 files"):
            await sandbox.snapshot(io.BytesIO(), max_bytes=1 << 30, max_files=20)
        expect_equal(await bash(sandbox, "echo still here"), "still here\n", "a later command")


async def a_file_that_cannot_be_read_is_left_out_of_the_snapshot(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        if sandbox.info.isolation == "none":
            raise NotApplicableError("without isolation its user may be root, who reads all")
        await bash(sandbox, "echo 1 > secret; chmod 000 secret; echo 2 > open")
        about = await sandbox.snapshot(io.BytesIO(), max_bytes=MEBIBYTE)
    expect_equal(about.skipped, ("'secret'",), "what could not be kept")
