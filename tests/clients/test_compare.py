"""``proctor compare``, on results as runs write them."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from proctor.clients.cli import app

Proctor = Callable[..., Result]


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proctor:
    """Compares the runs a and b, and expects the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, expect: int = 0) -> Result:
        done = CliRunner().invoke(app, ["compare", "a", "b", *arguments], catch_exceptions=False)
        assert done.exit_code == expect, done.output
        return done

    return run


def whole(compare: Proctor) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compare("--format", "json").stdout)
    return found


def test_pairs_give_a_difference_with_interval_and_test(compare: Proctor, results: Any) -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 90, (7, 3)) / 100
    b = a + rng.integers(0, 10, (7, 3)) / 100
    for (task, epoch), _ in np.ndenumerate(a):
        results.write("a", f"t{task}", float(a[task, epoch]), epoch)
        results.write("b", f"t{task}", float(b[task, epoch]), epoch, agent="tool_loop", model="m")
    found = whole(compare)
    record = found["records"][0]
    stats: Any = import_module("scipy.stats")
    differences = (b - a).mean(axis=1)

    def difference_of_means(x: Any, y: Any) -> Any:
        return x.mean() - y.mean()

    reference = stats.permutation_test(
        (b.mean(axis=1), a.mean(axis=1)),
        difference_of_means,
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert record["p"] == pytest.approx(reference.pvalue)
    assert record["difference"] == pytest.approx(differences.mean())
    assert record["sem"] == pytest.approx(stats.sem(differences))
    assert 0 < record["low"] < record["difference"] < record["high"]
    assert (record["tasks"], record["pairs"], record["unpaired"]) == (7, 21, 0)
    assert (found["a"]["agent"], found["b"]["model"]) == ("noop", "m")
    shown = compare().stdout
    assert "A: noop; B: m" in shown
    assert shown.count("\nt") >= 7


def test_pairing_takes_the_difficulty_of_tasks_out(compare: Proctor, results: Any) -> None:
    for number in range(8):
        results.write("a", f"t{number}", number / 10)
        results.write("b", f"t{number}", number / 10 + (0.1 if number % 2 else 0.12))
    record = whole(compare)["records"][0]
    assert record["sem"] < 0.01
    assert record["p"] == pytest.approx(2 / 2**8)


def test_what_has_no_partner_is_named_and_left_out(compare: Proctor, results: Any) -> None:
    results.write("a", "both", 0.2)
    results.write("b", "both", 0.6)
    results.write("a", "both", 0.9, 2)
    results.write("b", "new", 1.0)
    results.write("a", "lost", 0.5)
    results.write("b", "lost", None, graded=False)
    results.write("a", "spoilt", 0.0, states=["invalid"])
    results.write("b", "spoilt", 0.5)
    found = whole(compare)
    assert found["records"][0]["difference"] == pytest.approx(0.4)
    assert {(u["task"], u["epoch"]): u["why"] for u in found["unpaired"]} == {
        ("both", 2): "not in B", ("new", 1): "not in A", ("lost", 1): "ungraded in B",
        ("spoilt", 1): "invalid in A",
    }  # fmt: skip
    shown = compare().stdout
    assert "Tasks and epochs that make no pair: 4" in shown
    assert "No pair: spoilt, epoch 1: invalid in A" in shown


def test_one_task_has_a_difference_and_nothing_more(compare: Proctor, results: Any) -> None:
    for epoch in (1, 2):
        results.write("a", "t", 0.2, epoch)
        results.write("b", "t", 0.6, epoch)
    record = whole(compare)["records"][0]
    assert record["difference"] == pytest.approx(0.4)
    assert (record["sem"], record["low"], record["high"], record["p"]) == (None,) * 4
    assert "With fewer than two tasks there is no SEM" in compare().stdout


def test_without_any_pair_nothing_is_said_of_a_difference(compare: Proctor, results: Any) -> None:
    results.write("a", "t", 0.2)
    results.write("b", "u", 0.2)
    found = whole(compare)
    assert found["records"][0]["difference"] is None
    assert found["records"][0]["pairs"] == 0
    assert "nan" not in compare().stdout


def test_few_tasks_are_told_what_p_they_can_reach(compare: Proctor, results: Any) -> None:
    for task in ("t", "u", "v"):
        results.write("a", task, 0.0)
        results.write("b", task, 1.0)
    assert whole(compare)["records"][0]["p"] == 0.25
    assert "With 3 tasks no p below 0.25 is possible." in compare().stdout


def test_unlike_pairs_are_cautioned_of(compare: Proctor, results: Any) -> None:
    results.write("a", "t", 0.5, digest="one")
    results.write("b", "t", 0.5, digest="two")
    results.write("a", "u", 0.5, states=["scored", "ungraded"])
    results.write("b", "u", 0.5)
    shown = compare().stdout
    assert "Another version of the task on the two sides: t" in shown
    assert "Not equally many points were graded on the two sides: u" in shown


def test_a_side_of_several_models_or_runs_is_refused(compare: Proctor, results: Any) -> None:
    results.write("b", "t", 0.5)
    results.write("a", "t", 0.5)
    results.write("a", "t", 0.5)
    assert "a holds two sessions of 't', epoch 1; name one run" in compare(expect=2).stderr
    results.write("a", "t", 0.5, 2, agent="tool_loop", model="m")
    assert "a holds the sessions of noop, m (tool_loop)" in compare(expect=2).stderr


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv", "json"])
def test_a_comparison_repeats_byte_for_byte(compare: Proctor, results: Any, form: str) -> None:
    for number in range(15):
        results.write("a", f"t{number}", number / 20)
        results.write("b", f"t{number}", number**2 / 200)
    assert compare("--format", form).stdout_bytes == compare("--format", form).stdout_bytes
