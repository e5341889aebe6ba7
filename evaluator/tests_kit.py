"""Runs hidden tests in the verdict sandbox, on the results that the cases left.

``python tests_kit.py RESULTS FAILURES REPORT MODULE...``. A test is given results by the names of
its parameters: ``result`` is that of the case with the test's own name (``case_x`` for ``test_x``),
any other name that of the case so called (``case_x`` for ``x``). pytest runs the tests where the
image has it, with fixtures, parameters and all; else plain test functions are called in turn.

This file runs by itself in a sandbox: it imports nothing of Proctor but the kit beside it.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from proctor.evaluator.probe_kit import Invalid, Outputs, bound_time, told

CASE, TEST = "case_", "test_"
REASON_CHARS = 300

Report = dict[str, dict[str, Any]]
"""``{"tests/test_x.py::test_a": {"passed": bool, "why": str}}``."""


class Results:
    """What the cases of one module returned, as plain data."""

    def __init__(self, directory: Path, failures: Mapping[str, str]) -> None:
        """Look at `directory`, with a directory per case."""
        self._directory = directory
        self._failures = failures

    def of(self, case: str) -> Any:  # noqa: ANN401 - JSON and arrays
        """What a case returned; every call gives a copy of its own.

        Raises:
            Invalid: It left no plain data, or numbers that are not finite.
        """
        name = f"{self._directory.name}/{case}"
        outputs = Outputs(case, self._directory / case, self._failures.get(name, ""))
        return _decoded(outputs.value("result"), outputs)


def _decoded(value: Any, outputs: Outputs) -> Any:  # noqa: ANN401 - JSON and arrays
    if isinstance(value, float) and not math.isfinite(value):
        raise Invalid(f"case {outputs.name}: the result holds NaN or infinity")
    if isinstance(value, list):
        return [_decoded(each, outputs) for each in value]  # pyright: ignore[reportUnknownVariableType]  # JSON
    if isinstance(value, dict):
        name: Any = value.get("__array__")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # JSON
        if isinstance(name, str) and name.isalnum():
            return outputs.array(name, None)
        return {str(key): _decoded(each, outputs) for key, each in value.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # JSON
    return value


def run_plainly(modules: Mapping[str, Results]) -> Report:
    """Call every test function, without pytest."""
    report: Report = {}
    for path, results in modules.items():
        for name, test in _tests_of(path).items():
            cases = [name.removeprefix(TEST) if p == "result" else p for p in _parameters(test)]
            try:
                test(*(results.of(case) for case in cases))
            except Exception as error:  # noqa: BLE001 - whatever a test raises is its failure
                report[f"{path}::{name}"] = _failed(f"{type(error).__name__}: {error}")
            else:
                report[f"{path}::{name}"] = {"passed": True, "why": ""}
    return report


def _tests_of(path: str) -> Mapping[str, Callable[..., object]]:
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if any(each.startswith("Test") for each in vars(module)):
        raise SystemExit(f"{path} has test classes, which need pytest: the image has none")
    return {n: each for n, each in vars(module).items() if n.startswith(TEST) and callable(each)}


def _parameters(test: Callable[..., object]) -> tuple[str, ...]:
    return tuple(inspect.signature(test).parameters)


class Recorder:
    """What pytest tells of the tests, as a plugin of it."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.report: Report = {}
        self.broken: list[str] = []
        """What could not even be read as tests."""

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: ANN401 - pytest's own
        """Note how a test ended; every phase of it must end well."""
        if report.outcome != "passed" or hasattr(report, "wasxfail"):
            crash = getattr(report.longrepr, "reprcrash", None)
            self.report[report.nodeid] = _failed(crash.message if crash else report.outcome)
        elif report.when == "call":
            self.report.setdefault(report.nodeid, {"passed": True, "why": ""})

    def pytest_collectreport(self, report: Any) -> None:  # noqa: ANN401 - pytest's own
        """Note a module that cannot be read."""
        if report.failed:
            self.broken.append(report.longreprtext[-600:])


def run_with_pytest(modules: Mapping[str, Results]) -> Report:
    """Have pytest run the tests, with the results as fixtures."""
    import pytest  # noqa: PLC0415 - not every image has it

    by_path = {Path(path).resolve(): results for path, results in modules.items()}

    def fixture_of(case: str | None) -> object:
        def of_case(_: object, request: pytest.FixtureRequest) -> object:
            own: str = request.function.__name__
            return by_path[request.path].of(case or own.removeprefix(TEST))

        return pytest.fixture(of_case, name=case or "result")

    cases = set[str]().union(*map(_cases_of, modules)) - {"result"}
    fixtures = {f"of_{case}": fixture_of(case) for case in sorted(cases)}
    fixtures["of_own_case"] = fixture_of(None)
    recorder = Recorder()
    options = ["-q", "-p", "no:cacheprovider", "--noconftest", "-c", os.devnull, "--rootdir=."]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    code = pytest.main(
        [*options, "--import-mode=importlib", *modules],
        plugins=[recorder, type("Fixtures", (), fixtures)()],
    )
    if recorder.broken or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(recorder.broken[0] if recorder.broken else f"pytest ended with {code!r}")
    return recorder.report


def _failed(why: str) -> dict[str, Any]:
    return {"passed": False, "why": told(why)[:REASON_CHARS]}


def main(argv: list[str]) -> None:
    """Run the tests and write the report."""
    bound_time()
    results, failures_file, target, *paths = argv
    failures: dict[str, str] = json.loads(Path(failures_file).read_text("utf-8"))
    modules = {path: Results(Path(results, Path(path).stem), failures) for path in paths}
    sys.path[:0] = [".", *{str(Path(path).parent) for path in paths}]
    has_pytest = importlib.util.find_spec("pytest") is not None
    report = run_with_pytest(modules) if has_pytest else run_plainly(modules)
    Path(target).write_text(json.dumps(report), "utf-8")


def _cases_of(path: str) -> set[str]:
    """The names of a module's cases, read without running it."""
    tree = ast.parse(Path(path).read_bytes())
    found = (node.name for node in tree.body if isinstance(node, ast.FunctionDef))
    return {name.removeprefix(CASE) for name in found if name.startswith(CASE)}


if __name__ == "__main__":
    main(sys.argv[1:])
