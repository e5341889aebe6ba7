"""What a run is made of, as the command line says it; and how a run goes on where it stopped."""

import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from proctor.clients.cli.options import complain, usage_error

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from proctor.clients.runs.directory import RunDirectory
    from proctor.schemas.run import Candidate, Lock
    from proctor.schemas.task import TaskCard

SOFTWARE = ("mle-proctor", "mcp", "fastmcp", "litellm", "numpy", "pandas", "scikit-learn", "scipy")
OF_THIS_CALL = frozenset({"resume", "accept_changes", "as_json", "out"})
"""Flags that a run does not go on with."""
OF_THE_WHOLE = frozenset({"retries", "warm", "max_hours", "max_run_usd", "max_run_tokens"})
"""Flags that hold for a run, and change nothing about its sessions."""
GIVEN = frozenset({"COMMANDLINE", "DEFAULT_MAP"})
"""Where a flag's value comes from, where it is not the default."""


def take_flags(ctx: typer.Context, resume: Path | None) -> Path | None:
    """With ``--resume``: take every flag that is not given from the run that goes on."""
    if resume is None or ctx.resilient_parsing:
        return resume
    from proctor.clients.runs.directory import RunDirectory
    from proctor.schemas.errors import RunError

    try:
        ctx.default_map = dict(RunDirectory(resume.absolute()).lock().flags)
    except RunError as error:
        usage_error(f"--resume: {error}")
    return resume


def given_flags(ctx: typer.Context) -> dict[str, Any]:
    """The flags that this call gave, or took from the run that goes on, ready to be stored."""
    flags: dict[str, Any] = {}
    for each in ctx.command.params:
        source = ctx.get_parameter_source(each.name) if each.name else None
        if each.name and source and source.name in GIVEN and each.name not in OF_THIS_CALL:
            flags[each.name] = _storable(ctx.params[each.name])
    return flags


def lock_of(
    flags: Mapping[str, Any],
    cards: Sequence["TaskCard"],
    candidates: Sequence["Candidate"],
    epochs: int,
    conditions: Mapping[str, Any],
) -> "Lock":
    """A new run's lock."""
    from proctor.schemas.run import Lock

    return Lock(
        run_id=secrets.token_hex(6),
        started_at=datetime.now(UTC),
        flags=flags,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in SOFTWARE},
        },
        tasks={card.id: card.digest for card in cards},
        candidates=tuple(candidates),
        epochs=epochs,
        conditions=conditions,
    )


def agreed(lock: "Lock", directory: "RunDirectory", *, accept: bool) -> "Lock":
    """The lock to go on with; ends with exit code 2 where the run would become another."""
    before = directory.lock()
    changes = tuple(before.differences(lock))
    if changes and not accept:
        complain("\n".join(["proctor: the run would not go on as it began:", *changes]))
        usage_error("start another run, or go on all the same with --accept-changes")
    names = ("run_id", "started_at", "machines", "asked_tokens", "asked_usd")
    kept = {name: getattr(before, name) for name in names}
    return lock.model_copy(update={**kept, "changes": (*before.changes, *changes)})


def conditions_of(*groups: "DataclassInstance", **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """What holds for every session, by option; options that change nothing are left out."""
    named = {name: value for group in groups for name, value in asdict(group).items()}
    return {
        name: _storable(value)
        for name, value in {**named, **others}.items()
        if value is not None and name not in OF_THE_WHOLE
    }


def _storable(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list | tuple):
        return [_storable(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, Path):
        return str(value.absolute())
    return getattr(value, "value", value)
