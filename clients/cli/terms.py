"""The terms of sessions, as the command line says them: feedback and the key that signs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from proctor.clients.cli.options import usage_error

if TYPE_CHECKING:
    from proctor.evaluator.judge.panel import Judge
    from proctor.evaluator.signing import Signer
    from proctor.schemas.competition import Compat
    from proctor.schemas.feedback import After
    from proctor.server.terms import Terms

FeedbackOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="BEFORE/AFTER",
        help="What agents may learn, over any task's own policy. Before they submit: none, "
        "validity, validation, or N[@SECONDS] graded tries; afterwards: none, score or full. "
        "By default none/score on stdio, else none/none.",
    ),
]
SignKeyOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sign results with this Ed25519 private key, in PEM."),
]


def terms_of(
    feedback: str | None,
    sign_key: Path | None,
    judge: "Judge | None",
    *,
    after: "After",
    compat: "Compat" = "strict",
) -> "Terms":
    """The terms that the options ask for.

    Args:
        feedback: A policy over any task's.
        sign_key: The key that records are signed with.
        judge: What reads prose.
        compat: By which rule competitions are graded.
        after: What agents learn of their grade where neither task nor operator says.
    """
    from proctor.schemas.feedback import Feedback
    from proctor.server.terms import Terms, unsealed

    try:
        policy = Feedback.written(feedback) if feedback else None
    except ValueError as error:
        usage_error(f"--feedback: {error}")
    signer = signer_of(sign_key)
    seal = signer.seal if signer else unsealed
    return Terms(
        feedback=policy, otherwise=Feedback(after=after), compat=compat, judge=judge, seal=seal
    )


def signer_of(key: Path | None) -> "Signer | None":
    """What signs with a key, if there is one."""
    from proctor.evaluator.signing import Signer

    try:
        return Signer.from_file(key) if key else None
    except ValueError as error:
        usage_error(f"--sign-key: {error}")
