"""How a command's end reads: as AfterQuery's tools wrote it."""

from proctor.schemas.sandbox import ExecResult


def as_text(result: ExecResult, what: str, timeout: float) -> str:
    """Both streams and the return code, or that it timed out with what it wrote till then."""
    streams = f"STDOUT:\n{result.stdout.text()}\nSTDERR:\n{result.stderr.text()}"
    if result.timed_out:
        killed = "all its processes were killed (the argument timeout allows up to 600 s)"
        return f"{what} timed out after {timeout:g}s; {killed}\n{streams}"
    return f"{streams}\nReturn code: {result.exit_code}"
