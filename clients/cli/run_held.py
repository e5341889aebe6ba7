"""Holding a run in this process: its server, its engine, its view, and the signals that end it."""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import anyio

from proctor.clients.agents import Agent
from proctor.clients.agents.budget import Budget
from proctor.clients.cli.options import complain, usage_error
from proctor.clients.cli.run_limits import RunLimits
from proctor.clients.cli.run_server import Server
from proctor.clients.cli.run_view import watching
from proctor.clients.runs.directory import LOCK, RunDirectory
from proctor.clients.runs.elsewhere import Elsewhere
from proctor.clients.runs.in_process import InProcess
from proctor.clients.runs.owner import Owner
from proctor.clients.runs.run import Plan, Stop
from proctor.clients.runs.run import run as run_plan
from proctor.schemas.errors import RunError, SessionError
from proctor.schemas.result import RunResult
from proctor.schemas.run import Attempt, Lock
from proctor.schemas.session import SessionRequest


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    results: Mapping[Attempt, RunResult]
    not_held: int
    """Sessions that did not begin."""
    stopped: bool
    """Whether somebody ended it."""

    @property
    def why(self) -> str:
        """Why not all was held, where not all was."""
        return "the run was stopped" if self.stopped else "the run's limits are reached"


@dataclass(frozen=True)
class Holding:
    """A run, and all that it is held with."""

    plan: Plan
    agents: Mapping[str, Agent]
    """By their candidates' names."""
    directory: RunDirectory
    server: Server
    limits: RunLimits
    budget: Budget
    """What all sessions together may use."""
    grade: bool
    """Whether what is handed in is graded at once."""

    def hold(self) -> Outcome:
        """Hold it; ends with exit code 2 where it cannot begin."""
        try:
            return anyio.run(self._hold)
        except RunError as error:
            usage_error(str(error))

    async def _hold(self) -> Outcome:
        async with self.directory.held():
            lock = self._charge()
            async with self.server.owner() as owner:
                await self.directory.save(LOCK, lock)
                elsewhere = await self._elsewhere(owner)
                ends_at = self.limits.ends_at(time.monotonic())
                engine = InProcess(
                    owner=owner,
                    candidates={each.name: each for each in self.plan.lock.candidates},
                    agents=self.agents,
                    directory=self.directory,
                    request=partial(self._request, elsewhere),
                    ends_at=ends_at,
                )
                plan = replace(
                    self.plan,
                    lock=lock,
                    may_go_on=lambda: self._may_go_on(ends_at),
                    record=elsewhere.record if elsewhere else None,
                )
                return await self._run(plan, engine)

    async def _run(self, plan: Plan, engine: InProcess) -> Outcome:
        stop = Stop()
        results: Mapping[Attempt, RunResult] = {}
        with watching(plan) as watch:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_heed_signals, stop)
                results = await run_plan(plan, engine, self.directory, watch, stop)
                tasks.cancel_scope.cancel()
        lock = plan.lock.with_machines_of(results.values())
        await self.directory.save(LOCK, lock)
        for task, kinds in lock.machines.items():
            if len(kinds) > 1:
                complain(
                    f"proctor: {task} was worked on several kinds of machine: {'; '.join(kinds)}"
                )
        missing = len(plan.lock.attempts()) - len(results)
        return Outcome(results, missing, stop.is_asked)

    def _charge(self) -> Lock:
        """Charge the budget with what was used before this process began.

        Returns:
            The lock, with what this process has used so far: it has asked the providers.
        """
        lock, asked = self.plan.lock, (self.budget.used_tokens, self.budget.used_usd)
        self.budget.charge(lock.asked_tokens, lock.asked_usd)
        for attempt in lock.attempts():
            for told in self.directory.told_of(attempt):
                tokens = (told.prompt_tokens or 0) + (told.reply_tokens or 0)
                self.budget.charge(
                    max(tokens, told.charged_tokens), max(told.cost_usd or 0.0, told.charged_usd)
                )
        tokens, usd = asked[0] + lock.asked_tokens, asked[1] + lock.asked_usd
        return lock.model_copy(update={"asked_tokens": tokens, "asked_usd": usd})

    def _may_go_on(self, ends_at: float) -> bool:
        spent = self.budget.tokens_left == 0 or self.budget.usd_left == 0
        return time.monotonic() < ends_at and not spent

    async def _elsewhere(self, owner: Owner) -> Elsewhere | None:
        if not self.server.keeps_records_of_its_own:
            return None
        try:
            return await Elsewhere.of(self.plan.lock, self.directory, owner)
        except SessionError as error:
            raise RunError(str(error)) from error

    def _request(self, elsewhere: Elsewhere | None, attempt: Attempt) -> SessionRequest:
        label = elsewhere.label(attempt) if elsewhere else attempt.label
        return self.limits.request(attempt.task_id, label, attempt.candidate, grade=self.grade)


async def _heed_signals(stop: Stop) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if not stop.is_asked:
                complain(
                    "proctor: no session begins any more; those under way go on. "
                    "Ctrl-C again ends them now."
                )
            stop.ask()
