"""How far competitions' preparations have come: a bar for each, or lines where nobody watches."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text
from typing_extensions import override

from proctor.tasks.competitions.progress import Progress, Unit

T = TypeVar("T")


class StoppedError(Exception):
    """The user wants no more of it."""


class Watching:
    """All preparations at work."""

    def __init__(self, bars: Bars, console: Console) -> None:
        """Made by `watching`."""
        self._bars = bars
        self.console = console
        self.stop = threading.Event()
        """Set once nothing shall go on."""

    def run(self, prepare: Callable[[str, "Bar"], T], name: str) -> T:
        """Do it, with a bar of its own."""
        bar = Bar(self, self._bars, name)
        try:
            return prepare(name, bar)
        finally:
            bar.close()


class Bar(Progress):
    """One preparation's; each step begins it anew."""

    def __init__(self, whole: Watching, bars: Bars, name: str) -> None:
        """Made by `Watching.run`."""
        self._whole, self._bars, self._name = whole, bars, name
        self._task: TaskID | None = None

    @override
    def step(self, name: str, total: int | None = None, unit: Unit = "") -> None:
        self._check()
        if not self._whole.console.is_terminal:
            size = f" {_amount(total, unit)}" if total else ""
            self._whole.console.print(f"{self._name}: {name}{size}", highlight=False, markup=False)
        elif self._task is None:
            self._task = self._bars.add_task(self._name, total=total, step=name, unit=unit)
        else:
            self._bars.reset(self._task, total=total, step=name, unit=unit)

    @override
    def advance(self, amount: int) -> None:
        self._check()
        if self._task is not None:
            self._bars.advance(self._task, amount)

    @override
    def wait(self, seconds: float) -> None:
        self._whole.stop.wait(seconds)
        self._check()

    def close(self) -> None:
        """It is over."""
        if self._task is not None:
            self._bars.remove_task(self._task)

    def _check(self) -> None:
        if self._whole.stop.is_set():
            raise StoppedError


@contextmanager
def watching() -> Generator[Watching]:
    """Show bars on stderr, as long as that is a terminal."""
    console = Console(stderr=True)
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[step]}", markup=False),
        BarColumn(),
        _Amount(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        yield Watching(bars, console)


class _Amount(ProgressColumn):
    """How much is done of how much, and how fast."""

    @override
    def render(self, task: Task) -> Text:
        unit: Unit = task.fields["unit"]
        if task.total is None:
            return Text(_amount(task.completed, unit) if unit else "")
        text = f"{_amount(task.completed, unit)} of {_amount(task.total, unit)}"
        if task.speed and unit == "bytes":
            text += f", {decimal(int(task.speed))}/s"
        if task.time_remaining is not None:
            text += f", {task.time_remaining:.0f} s left"
        return Text(text)


def _amount(count: float | None, unit: Unit) -> str:
    if unit == "bytes":
        return decimal(int(count or 0))
    return f"{count or 0:.0f} {unit}".strip()
