"""How a command's end reads: as AfterQuery's tools wrote it; and how it stands with a job."""

from proctor.schemas.sandbox import MEBIBYTE, ExecResult, Job, SandboxInfo


def as_text(result: ExecResult, what: str, timeout: float | None, info: SandboxInfo) -> str:
    """Both streams and how it ended: a return code, too late, or not yet."""
    streams = f"STDOUT:\n{result.stdout.text()}\nSTDERR:\n{result.stderr.text()}"
    if result.job is not None:
        return (
            f"{streams}\n{what} still runs, as job {result.job}: job_output shows what it writes, "
            "job_stop ends it. It ends when you submit."
        )
    if result.timed_out:
        limit = f" after {timeout:g}s" if timeout else ""
        return f"{what} timed out{limit}; all its processes were killed\n{streams}"
    memory = ""
    if result.oom_killed:
        size = info.memory_bytes // MEBIBYTE
        memory = f"\nMemory ran out, so a process was killed: this sandbox has {size} MiB."
    return f"{streams}\nReturn code: {result.exit_code}{memory}"


def job_as_text(job: Job) -> str:
    """One line on how it stands with a job."""
    if job.running:
        how = "still runs"
    elif job.timed_out:
        how = "timed out, and all its processes were killed"
    elif job.exit_code is None:
        how = "was stopped"
    else:
        how = f"has ended with return code {job.exit_code}"
    return (
        f"Job {job.id} {how}, after {job.duration_s:.1f} s; it wrote {job.stdout_bytes} bytes to "
        f"stdout and {job.stderr_bytes} to stderr."
    )
