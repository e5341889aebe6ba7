"""What an agent is told of its session."""

from proctor.schemas.feedback import After
from proctor.schemas.grade import Grade
from proctor.server.session import Session

ASK_BEFORE = {
    "none": "",
    "validity": "check_submission says whether the hand-in has the form asked for\n",
    "validation": "check_submission says how the work does on the validation part\n",
    "graded": "check_submission says what the work would earn, a limited number of times\n",
}


async def briefing(session: Session) -> str:
    """The instructions, where the workspace is, and what is left of the budget."""
    sandbox = await session.open_sandbox()
    running = [f"job {job.id}" for job in await sandbox.jobs() if job.running]
    jobs = (
        f"Running: {', '.join(running)}; what runs when you submit is killed\n" if running else ""
    )
    return (
        f"{session.task.instructions.strip()}\n\n"
        "----\n"
        f"Task: {session.task.id}\n"
        f"Workspace: {sandbox.info.workdir} (paths may be relative to it). What lies there is "
        f"handed in; for anything else use {sandbox.info.scratch} with bash_exec.\n"
        f"Left: {left(session)}\n"
        f"{jobs}"
        f"{ASK_BEFORE[session.feedback.before]}"
        "When you are done, call submit with your final answer."
    )


def left(session: Session) -> str:
    """What is left of the budget."""
    minutes, seconds = divmod(int(session.time_left_s), 60)
    return f"{minutes} min {seconds} s, {session.calls_left} tool calls"


def ending(session: Session) -> str:
    """The receipt of what was handed in and, as far as it may be told, the grade."""
    if session.submission is None:
        return f"The session has ended without a submission: {session.error or session.state}."
    handed_in = session.submission
    lines = [f"Handed in: {handed_in.files} files, receipt {handed_in.receipt}."]
    if session.state == "abandoned":
        lines.append("The session was abandoned; it gets no grade.")
    elif session.error:
        lines.append(f"There is no grade: {session.error}.")
    elif not session.is_to_be_graded:
        lines.append("It is kept as it is, to be graded later.")
    elif session.feedback.after == "none":
        lines.append("The work is graded out of sight.")
    elif session.grade is None:
        lines.append("Grading takes a while; call submit again to see the grade.")
    else:
        lines.extend(_grade_lines(session.grade, session.feedback.after))
    return "\n".join(lines)


def _grade_lines(grade: Grade, after: After) -> list[str]:
    left = grade.total_possible - grade.points_graded
    percentage = "" if grade.percentage is None else f" ({grade.percentage:g}% of those)"
    why = "need a judge" if grade.judge is None else "are ungraded"
    lines = [
        f"Score: {grade.score:g} of the {grade.points_graded:g} points graded{percentage}"
        + (f"; {left:g} more {why}." if left else ".")
    ]
    if after == "full":
        lines += [
            f"- {r.name} ({r.id}): {r.earned:g}/{r.points:g}"
            + (" ungraded" if r.state == "ungraded" else "")
            + f". {r.reasoning}"
            for r in grade.results
        ]
    return lines
