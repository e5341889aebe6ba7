"""Backends that each break one promise."""

import os
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.errors import SandboxLostError
from proctor.schemas.sandbox import ExecResult, SandboxInfo, SandboxSpec


class Broken:
    """Keeps every promise; heirs break one."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sandbox, name)

    async def exec(self, argv: list[str], **how: Any) -> ExecResult:
        return await self.sandbox.exec(argv, **how)


class AlwaysSucceeds(Broken):
    async def exec(self, argv: list[str], **how: Any) -> ExecResult:
        result = await super().exec(argv, **how)
        return result.model_copy(update={"exit_code": 0})


class ShowsOurEnvironment(Broken):
    async def exec(self, argv: list[str], **how: Any) -> ExecResult:
        return await super().exec(argv, **{**how, "env": {**os.environ, **(how.get("env") or {})}})


class KeepsScratchInTheWorkspace(Broken):
    @property
    def info(self) -> SandboxInfo:
        info = self.sandbox.info
        return info.model_copy(update={"scratch": f"{info.workdir}/scratch"})


class CallsAMissingFileALostSandbox(Broken):
    async def fetch(self, path: str, **how: Any) -> bytes:
        try:
            return await self.sandbox.fetch(path, **how)
        except FileNotFoundError as error:
            raise SandboxLostError(str(error)) from error


class NeverSnapshotsTheSameTwice(Broken):
    async def snapshot(self, target: Any, **limits: Any) -> Any:
        about = await self.sandbox.snapshot(target, **limits)
        target.write(secrets.token_bytes(16))
        return about


class KillsNothing(Broken):
    async def kill_all(self) -> None:
        pass


class TimesOutWithoutKilling(Broken):
    async def exec(self, argv: list[str], **how: Any) -> ExecResult:
        lasting = {**how, "timeout_s": 600.0, "foreground_s": how["timeout_s"]}
        result = await super().exec(argv, **lasting)
        return result.model_copy(update={"timed_out": result.job is not None})


class LooksForJobsInVain(Broken):
    async def job_stop(self, job_id: int) -> Any:
        try:
            return await self.sandbox.job_stop(job_id)
        except LookupError:
            return None


def _opening(kind: type[Broken]) -> Callable[[SandboxSpec], AbstractAsyncContextManager[Sandbox]]:
    @asynccontextmanager
    async def opened(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        async with open_plain(spec) as sandbox:
            yield cast("Sandbox", kind(sandbox))

    return opened


@asynccontextmanager
async def ignores_that_isolation_is_required(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
    async with open_plain(spec.model_copy(update={"isolation_required": False})) as sandbox:
        yield sandbox


always_succeeds = _opening(AlwaysSucceeds)
shows_our_environment = _opening(ShowsOurEnvironment)
keeps_scratch_in_the_workspace = _opening(KeepsScratchInTheWorkspace)
calls_a_missing_file_a_lost_sandbox = _opening(CallsAMissingFileALostSandbox)
never_snapshots_the_same_twice = _opening(NeverSnapshotsTheSameTwice)
kills_nothing = _opening(KillsNothing)
times_out_without_killing = _opening(TimesOutWithoutKilling)
looks_for_jobs_in_vain = _opening(LooksForJobsInVain)
