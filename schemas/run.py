"""A run: tasks, worked by candidates, over and over; and what it was made of."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pydantic import AwareDatetime

from proctor.schemas.base import Value
from proctor.schemas.result import RunResult
from proctor.schemas.sandbox import SandboxInfo

DIGEST = 64
"""Characters of a SHA-256."""


NO_MODEL = frozenset({"oracle", "noop"})
"""The agents that surely ask none."""


class Candidate(Value):
    """An agent as it sits the exam."""

    name: str
    """Names it among the run's candidates, and a directory."""
    agent: str
    model: str | None = None
    settings: Mapping[str, Any] = {}
    """How its model is asked."""

    @classmethod
    def of(
        cls, agent: str, model: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> "Candidate":
        """A candidate, named by its model, or by the agent where it has none."""
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", model or agent).strip("-.") or "agent"
        return cls(name=name, agent=agent, model=model, settings=settings or {})

    @property
    def may_ask_a_model(self) -> bool:
        """Whether it is none of the agents that surely do not."""
        return self.agent not in NO_MODEL


class Attempt(Value):
    """One session that a run is to hold."""

    task_id: str
    epoch: int
    """Counted from 1."""
    candidate: str
    label: str
    """Where its files lie below the run's directory."""


class Lock(Value):
    """``run.json``: what a run is made of, so that it can go on later, or be repeated."""

    run_id: str
    started_at: AwareDatetime
    flags: Mapping[str, Any]
    """The command line's, as given."""
    versions: Mapping[str, str]
    """Of the software that decides what a run comes to."""
    tasks: Mapping[str, str]
    """The chosen tasks' digests; empty where a server has yet to prepare a task."""
    candidates: tuple[Candidate, ...]
    epochs: int
    conditions: Mapping[str, Any] = {}
    """What holds for every session: limits, feedback, judge, sandboxes, seed."""
    asked_tokens: int = 0
    """What it took to ask providers, before any session, whether they serve."""
    asked_usd: float = 0.0
    changes: tuple[str, ...] = ()
    """How it differs from what the run began with, as was accepted since."""
    machines: Mapping[str, tuple[str, ...]] = {}
    """By task, the kinds of machine that its sessions had, images by their digests: known once
    sessions have ended."""

    def attempts(self) -> tuple[Attempt, ...]:
        """Every session that the run is to hold, in the order in which they begin."""
        alone = len(self.candidates) == 1
        return tuple(
            Attempt(
                task_id=task_id,
                epoch=epoch,
                candidate=candidate.name,
                label=f"{'' if alone else f'{candidate.name}/'}{task_id}/{epoch}",
            )
            for task_id in self.tasks
            for epoch in range(1, self.epochs + 1)
            for candidate in self.candidates
        )

    def with_machines_of(self, results: Iterable[RunResult]) -> "Lock":
        """The same, and the machines of these sessions."""
        kinds = {task: dict.fromkeys(known) for task, known in self.machines.items()}
        for result in results:
            if result.sandbox is not None:
                kinds.setdefault(result.task_id, {})[_kind_of(result.sandbox)] = None
        return self.model_copy(update={"machines": {task: (*of,) for task, of in kinds.items()}})

    def differences(self, other: "Lock") -> Iterator[str]:
        """What `other` would do otherwise, one line each."""
        yield from _differences("versions", self.versions, other.versions)
        old, new = self.tasks, other.tasks  # a digest that one of them does not know tells nothing
        yield from _differences(
            "tasks",
            {each: digest or new.get(each, "") for each, digest in old.items()},
            {each: digest or old.get(each, "") for each, digest in new.items()},
        )
        for name in ("candidates", "epochs", "conditions"):
            yield from _differences(name, _part(self, name), _part(other, name))


class Summary(Value):
    """``summary.json``: AfterQuery's fields, and the agents' names."""

    agent: str
    model: str | None
    results: tuple[RunResult, ...]
    timestamp: str
    proctor_version: str
    not_held: tuple[str, ...] = ()
    """The labels of sessions that were not held, since the run was stopped or ran out of budget."""


def _kind_of(sandbox: SandboxInfo) -> str:
    return ", ".join(filter(None, (sandbox.backend, sandbox.isolation, sandbox.image)))


def _part(lock: Lock, name: str) -> Any:  # noqa: ANN401 - JSON
    value = lock.model_dump(mode="json")[name]
    return {each["name"]: each for each in value} if name == "candidates" else value


def _differences(name: str, before: Any, after: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in dict.fromkeys((*old, *new)):
            yield from _differences(f"{name}.{key}", old.get(key), new.get(key))
    elif before != after:
        yield f"{name}: {_shown(before)} before, {_shown(after)} now"


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON
    text = "none" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == DIGEST and text.isalnum() else text
