"""The terms on which an operator has sessions held."""

from collections.abc import Callable
from dataclasses import dataclass, field

from proctor.evaluator.judge.panel import Judge
from proctor.schemas.competition import Compat
from proctor.schemas.feedback import Feedback
from proctor.schemas.session import SessionRecord
from proctor.schemas.task import Task


def unsealed(record: SessionRecord) -> SessionRecord:
    """The record as it is."""
    return record


@dataclass(frozen=True)
class Terms:
    """What holds for every session of a server."""

    feedback: Feedback | None = None
    """What agents may learn, over any task's own policy."""
    otherwise: Feedback = field(default_factory=Feedback)
    """The same for tasks without a policy."""
    compat: Compat = "strict"
    """By which rule submissions to competitions are read and aligned."""
    judge: Judge | None = None
    """What reads prose; without one it stays ungraded."""
    wait_s: float = 45.0
    """How long one who asks for a task waits while it is prepared: clients give up on a call after
    a minute."""
    seal: Callable[[SessionRecord], SessionRecord] = unsealed
    """Signs a record, where the operator has a key."""

    def feedback_on(self, task: Task) -> Feedback:
        """What an agent that sits `task` may learn.

        Where neither operator nor task has a say, that a competition's file has the form asked for
        is told: the sample submission, which agents have, shows it anyway.
        """
        said = self.feedback or task.feedback
        if said is None and task.kind == "competition" and self.otherwise.before == "none":
            return self.otherwise.model_copy(update={"before": "validity"})
        return said or self.otherwise
