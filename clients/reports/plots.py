"""Plots of a report, as PNG and SVG: scores with their intervals, and score against cost."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from proctor.clients.reports.groups import Group, labels_of
from proctor.clients.reports.statistics import CONFIDENCE
from proctor.clients.reports.tables import visible

Figure: TypeAlias = Any
"""Matplotlib's: it is an extra, and its types need not be here for ours to be checked."""
FORMS = ("png", "svg")
WIDTH_IN = 8.0
ROW_IN = 0.3
MOST_ROWS = 300
"""Of one plot: PNG ends at 2^16 pixels, and eyes before."""
LONGEST = 48
"""Characters of a name; longer ones would leave no room for what is drawn."""
SETTINGS = {
    "svg.hashsalt": "proctor",  # equal reports give equal bytes
    "text.parse_math": False,  # names are no formulas
    "svg.fonttype": "path",
}


def write_plots(groups: Sequence[Group], directory: Path) -> list[Path]:
    """Write the plots that the groups allow.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: A file cannot be written.
    """
    written: list[Path] = []
    matplotlib: Any = import_module("matplotlib")
    with matplotlib.rc_context(SETTINGS):
        for name, figure in _figures(groups):
            for form in FORMS:
                path = directory / f"{name}.{form}"
                figure.savefig(path, format=form, dpi=150, metadata=_metadata(form))
                written.append(path)
    return written


def _metadata(form: str) -> dict[str, Any]:
    """Without what changes from one writing to the next."""
    return {"Date": None} if form == "svg" else {"Software": None}


def _figures(groups: Sequence[Group]) -> Iterable[tuple[str, Figure]]:
    for by in dict.fromkeys(group.by for group in groups):
        scored = [g for g in groups if g.by == by and g.score.mean is not None]
        if scored:
            yield f"scores-by-{by}", _scores(scored[:MOST_ROWS])
    priced = [g for g in groups if g.by == "model" and g.cost_per_session is not None]
    priced = [g for g in priced if g.score.mean is not None]
    if priced:
        yield "score-against-cost", _against_cost(priced)


def _scores(groups: Sequence[Group]) -> Figure:
    """A line for each group: its mean, and its interval where there is one."""
    labels = labels_of(groups)
    figure, axes = _figure(1.5 + ROW_IN * len(groups))
    colours = {who: f"C{number % 10}" for number, who in enumerate(sorted(labels))}
    for place, group in enumerate(groups):
        bars, colour = _bars(group), colours[group.who]
        axes.errorbar(group.score.mean, place, xerr=bars, fmt="o", color=colour, capsize=3)
    names = [_name(group, labels[group.who], several=len(labels) > 1) for group in groups]
    axes.set_yticks(range(len(groups)), names)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"mean score, with its {CONFIDENCE:.0%} interval where there is one")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _against_cost(groups: Sequence[Group]) -> Figure:
    labels = labels_of(groups)
    figure, axes = _figure(5.0)
    most = max(group.cost_per_session or 0.0 for group in groups) or 1.0
    for group in groups:
        cost = group.cost_per_session or 0.0
        far = cost > most / 2  # its name goes to where there is room
        axes.errorbar(cost, group.score.mean, yerr=_bars(group), fmt="o", capsize=3)
        axes.annotate(
            _short(labels[group.who]), (cost, group.score.mean), textcoords="offset points",
            xytext=(-6 if far else 6, 6), ha="right" if far else "left",
        )  # fmt: skip
    axes.set_xlim(-0.02 * most, 1.05 * most)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("cost of a session, USD")
    axes.set_ylabel(f"mean score, with its {CONFIDENCE:.0%} interval where there is one")
    axes.grid(alpha=0.3)
    return figure


def _figure(height_in: float) -> tuple[Figure, Any]:
    """A figure outside pyplot, which would keep it and look for a screen."""
    made: Any = import_module("matplotlib.figure")
    figure = made.Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots()


def _bars(group: Group) -> list[list[float]] | None:
    score = group.score
    if score.mean is None or score.low is None or score.high is None:
        return None
    return [[max(0.0, score.mean - score.low)], [max(0.0, score.high - score.mean)]]


def _name(group: Group, label: str, *, several: bool) -> str:
    parts = [] if group.by == "model" else [_short(group.name or "-")]
    parts += [_short(label)] if several or group.by == "model" else []
    return "\n".join(parts) if len(parts[0]) + len(parts[-1]) > LONGEST else ", ".join(parts)


def _short(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
