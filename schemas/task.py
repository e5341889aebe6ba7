"""A task: what the agent is told and given, and what its work is held against."""

import hashlib
from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import Field

from proctor.schemas.base import Value
from proctor.schemas.feedback import Feedback
from proctor.schemas.rubric import Message, Rubric
from proctor.schemas.sandbox import SandboxSpec

TaskKind: TypeAlias = Literal["error_analysis", "technique", "competition"]

FileTree: TypeAlias = Mapping[str, bytes]
"""Files by relative POSIX path."""

TASK_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"


class Limits(Value):
    """How much of each resource one session may use."""

    time_s: float = Field(default=3600.0, gt=0, allow_inf_nan=False)
    """Wall-clock seconds from the session's start to its submission."""
    tool_calls: int = Field(default=500, gt=0)
    turns: int = Field(default=50, gt=0)
    """Model turns; a limit that the agent's client keeps (AfterQuery's ``max_turns``)."""


class Solution(Value):
    """Work to be handed in: the reference solution, or a decoy."""

    files: FileTree = Field(default_factory=dict[str, bytes])
    """What is laid over the workspace."""
    delete: tuple[str, ...] = ()
    """Files of the workspace that go."""
    answer: str = ""

    def laid_over(self, workspace: FileTree) -> FileTree:
        """The workspace as it would be handed in."""
        files = {**workspace, **self.files}
        return {path: data for path, data in files.items() if path not in self.delete}


class Decoy(Value):
    """A plausible wrong solution, and the criteria in which it must fail."""

    name: str
    description: str
    solution: Solution
    fails: tuple[str, ...] = Field(min_length=1)


class TaskCard(Value):
    """What an owner knows of a task without its content."""

    id: str = Field(pattern=TASK_ID_PATTERN)
    title: str
    kind: TaskKind
    category: str
    splits: tuple[str, ...]
    digest: str
    """Empty for a competition that nobody has asked for yet: it is known once its files are."""
    limits: Limits
    description: str = ""


class Task(Value):
    """One problem. Immutable; the part below `rubric` never reaches an agent."""

    id: str = Field(pattern=TASK_ID_PATTERN)
    title: str
    kind: TaskKind = "error_analysis"
    description: str = ""
    """One line for a catalog: the story, never the answer."""
    category: str = ""
    """What reports group by, such as the planted error's code; never told to an agent."""
    splits: tuple[str, ...] = ()
    """Named selections of tasks that it belongs to; never told to an agent."""
    prompt: tuple[Message, ...]
    workspace: FileTree = Field(default_factory=dict[str, bytes])
    sandbox: SandboxSpec = SandboxSpec()
    limits: Limits = Limits()
    feedback: Feedback | None = None
    """What the agent may learn; None leaves that to the server."""

    rubric: Rubric
    grading: FileTree = Field(default_factory=dict[str, bytes])
    """Hidden files that graders use: probes, drivers, labels."""
    solution: Solution | None = None
    decoys: tuple[Decoy, ...] = ()

    @property
    def instructions(self) -> str:
        """The prompt as one text."""
        return "\n".join(part.content for part in self.prompt if part.type == "text")

    def card(self) -> TaskCard:
        """The task without its content."""
        return TaskCard(
            id=self.id, title=self.title, kind=self.kind, category=self.category,
            splits=self.splits, digest=self.digest(), limits=self.limits,
            description=self.description,
        )  # fmt: skip

    def digest(self) -> str:
        """The SHA-256 of everything that decides a session's course or its grade.

        Titles, categories, splits, solutions and decoys are not part of it: they change nothing
        for an agent. Nor is the place of mounted data, where what it holds is known.
        """
        mounts = [
            m.model_copy(update={"source": ""}) if m.digest else m for m in self.sandbox.mounts
        ]
        seal = hashlib.sha256()
        for part in (
            self.id,
            *(f"{part.type}\0{part.content}" for part in self.prompt),
            self.sandbox.model_copy(update={"mounts": tuple(mounts)}).model_dump_json(),
            self.limits.model_dump_json(),
            self.feedback.model_dump_json() if self.feedback else "",
            self.rubric.model_dump_json(),
        ):
            seal.update(len(part).to_bytes(8, "big") + part.encode())
        for tree in (self.workspace, self.grading):
            for path in sorted(tree):
                seal.update(path.encode() + b"\0" + hashlib.sha256(tree[path]).digest())
            seal.update(b"\1")
        return seal.hexdigest()
