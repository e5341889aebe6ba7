"""``proctor grade`` and ``proctor verify``: stored submissions, graded again or checked."""

import json
from collections import Counter
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from proctor.clients.cli.judge_options import JudgeOptions, judge_of, with_judge_options
from proctor.clients.cli.options import TasksOption, catalog_of, complain, usage_error
from proctor.clients.cli.sandboxes import SandboxOptions, backend_of, with_sandbox_options
from proctor.clients.cli.terms import SignKeyOption, signer_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from proctor.schemas.task import Task
    from proctor.server.regrade import Change
    from proctor.server.stored import StoredSession
    from proctor.server.verify import Check, ResultFile
    from proctor.tasks.catalog import Catalog

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class Version(StrEnum):
    """Which version of a task a submission is held against."""

    RECORDED = "recorded"
    CURRENT = "current"


@with_judge_options
@with_sandbox_options
def grade(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run's or a server's.")],
    *,
    task_version: Annotated[
        Version,
        typer.Option(
            help="recorded grades only where the task is what it was at the session; current "
            "takes it as it is now."
        ),
    ] = Version.RECORDED,
    compat: Annotated[
        Literal["strict", "upstream"] | None,
        typer.Option(
            help="Of competitions: align submissions' rows by id, or as MLE-bench does it; by "
            "default as they were graded before."
        ),
    ] = None,
    tasks: TasksOption = None,
    sign_key: SignKeyOption = None,
    as_json: AsJson = False,
    sandboxes: SandboxOptions,
    judging: JudgeOptions,
) -> None:
    """Grade stored submissions again, without an agent; new grades are put beside the old."""
    import anyio

    from proctor.schemas.errors import SessionError
    from proctor.server.regrade import regrade
    from proctor.server.stored import stored_sessions

    try:
        stored = list(stored_sessions(directory))
    except SessionError as error:
        usage_error(str(error))
    if not stored:
        usage_error(f"{directory} holds no session; name a run's directory")
    catalog, signer, judge = catalog_of(tasks), signer_of(sign_key), judge_of(judging)

    async def grade_all() -> "list[Change]":
        async with backend_of(sandboxes) as backend:
            again = partial(regrade, backend=backend, judge=judge, signer=signer, compat=compat)
            return await _regrade(stored, catalog, task_version, again)

    changes = anyio.run(grade_all)
    if as_json:
        print(json.dumps([_as_json(change) for change in changes], indent=2))
    else:
        for change in changes:
            _print_change(change, directory)
        moved = sum(bool(change.what) for change in changes)
        print(f"{len(changes)} of {len(stored)} sessions graded again, {moved} changed")
    if len(changes) < len(stored):
        raise typer.Exit(1)


async def _regrade(
    stored: "list[StoredSession]",
    catalog: "Catalog",
    version: Version,
    again: "Callable[[StoredSession, Task], Awaitable[Change]]",
) -> "list[Change]":
    from proctor.schemas.errors import ProctorError, SessionError

    changes: list[Change] = []
    for session in stored:
        try:
            task = catalog[session.record.task_id]
            if version is Version.RECORDED and task.digest() != session.record.task_digest:
                raise SessionError(
                    f"{session.directory}: the task is not what it was; name that version with "
                    "--tasks, or take the present one with --task-version current"
                )
            changes.append(await again(session, task))
        except ProctorError as error:
            complain(f"proctor: not graded: {error}")
        except OSError as error:
            complain(f"proctor: not graded: {session.directory}: {error.strerror}")
    return changes


def _print_change(change: "Change", root: Path) -> None:
    from proctor.evaluator.judge.visible import visible

    name = change.directory.relative_to(root.absolute() if change.directory.is_absolute() else root)
    old = f"{change.before.score:g}" if change.before else "no grade"
    print(f"{name}: {old}, now {change.after.score:g} of {change.after.points_graded:g} graded")
    for line in change.what:
        print(f"  {visible(line)}")
    for line in change.why if change.what or change.why else ():
        print(f"  because: {line}" if change.what else f"  although: {line}")


def _as_json(change: "Change") -> dict[str, object]:
    return {
        "session": str(change.directory),
        "grade": str(change.path),
        "score_before": change.before.score if change.before else None,
        "score": change.after.score,
        "points_graded": change.after.points_graded,
        "what": change.what,
        "why": change.why,
    }


@with_sandbox_options
def verify(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="A result.json, session.json or grades/N.json.")
    ],
    *,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Check the signature with this public key, in PEM."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not grade again: no sandbox is opened.")
    ] = False,
    tasks: TasksOption = None,
    as_json: AsJson = False,
    sandboxes: SandboxOptions,
) -> None:
    """Check a result: its signature, its sums, its origins, and by grading it again."""
    from dataclasses import asdict

    import anyio

    from proctor.evaluator.signing import public_key
    from proctor.schemas.errors import SessionError
    from proctor.server.verify import ResultFile

    try:
        file = ResultFile(result)
        public = public_key(key) if key else None
    except (SessionError, ValueError) as error:
        usage_error(str(error))
    checks = anyio.run(_verify, file, catalog_of(tasks), None if offline else sandboxes, public)
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{check.verdict:8} {check.name}: {check.detail}")
    counts = Counter(check.verdict for check in checks)
    if counts["DIFFERS"]:
        raise typer.Exit(1)


async def _verify(
    file: "ResultFile",
    catalog: "Catalog",
    sandboxes: SandboxOptions | None,
    key: "Ed25519PublicKey | None",
) -> "list[Check]":
    from contextlib import nullcontext

    from proctor.server.verify import verify as checks_of

    async with backend_of(sandboxes) if sandboxes else nullcontext(None) as backend:
        return [check async for check in checks_of(file, catalog, backend, key)]
