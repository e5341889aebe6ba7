"""``proctor grade`` and ``proctor verify``, on a run of the mini task."""

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

Proctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def proctor(proctor_command: list[str], tmp_path: Path, mini_task: Path) -> Proctor:
    """Runs a command on the mini task, and expects its exit code."""

    def run(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*proctor_command, *arguments, "--tasks", str(mini_task), "--backend", "none"],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and a public key, as files."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def session(proctor: Proctor, tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    """The directory of a session that the oracle sat, signed."""
    proctor("run", "--out", "run", "--sign-key", str(keys[0]))
    return tmp_path / "run" / "mini" / "1"


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in json.loads(done.stdout)}


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_grading_again_gives_the_same_bytes_and_changes_nothing(
    proctor: Proctor, session: Path
) -> None:
    before = {path: path.read_bytes() for path in session.rglob("*") if path.is_file()}
    assert "0 changed" in proctor("grade", "run").stdout
    assert "0 changed" in proctor("grade", "run").stdout
    first, second = sorted((session / "grades").iterdir())
    assert first.read_bytes() == second.read_bytes()
    graded = json.loads((session / "result.json").read_text())["evaluation"]
    assert json.loads(first.read_text())["grade"] == graded
    assert all(path.read_bytes() == data for path, data in before.items())


def test_another_version_of_the_task_is_taken_only_when_asked(
    proctor: Proctor, session: Path, mini_task: Path
) -> None:
    toml = mini_task / "task.toml"
    toml.write_text(toml.read_text().replace("points = 4", "points = 6"))
    assert "is not what it was" in proctor("grade", "run", expect=1).stderr
    assert not (session / "grades").exists()
    said = proctor("grade", "run", "--task-version", "current").stdout
    assert "fix: 4 of 4, now 6 of 6" in said
    assert "because: another version of the task" in said


def test_a_session_that_the_server_did_not_come_to_grade_is_graded(
    proctor: Proctor, session: Path
) -> None:
    change(session / "session.json", state="submitted", grade=None)
    said = proctor("grade", "run").stdout
    assert "no grade, now 9 of 9 graded" in said


def test_a_place_that_takes_no_new_grade_is_named(proctor: Proctor, session: Path) -> None:
    (session / "grades").touch()
    told = proctor("grade", str(session), expect=1).stderr
    assert f"not graded: {session}: File exists" in told


def test_what_holds_is_verified(proctor: Proctor, session: Path, keys: tuple[Path, Path]) -> None:
    proctor("grade", "run", "--sign-key", str(keys[0]))
    for name in ("result.json", "session.json", "grades/0001.json"):
        done = proctor("verify", str(session / name), "--key", str(keys[1]), "--json")
        assert set(verdicts(done).values()) == {"ok"}
        assert {"signature", "sums", "hand-in", "task", "graded again"} <= set(verdicts(done))


def test_what_was_changed_is_found(
    proctor: Proctor, session: Path, keys: tuple[Path, Path]
) -> None:
    result = session / "result.json"
    kept = result.read_text()
    evaluation = json.loads(kept)["evaluation"]

    def found(*names: str) -> None:
        done = proctor("verify", str(result), "--key", str(keys[1]), "--json", expect=1)
        differing = {name for name, verdict in verdicts(done).items() if verdict == "DIFFERS"}
        assert differing == set(names)

    change(result, agent="somebody else")
    found("signature")
    change(result, evaluation={**evaluation, "score": 10})
    found("signature", "sums")
    raised = [{**r, "credit": 1.0, "earned": r["points"]} for r in evaluation["results"]]
    for each in raised:
        each["state"] = "scored"
    change(
        result,
        evaluation={**evaluation, "score": 10, "points_graded": 10, "results": raised},
    )
    found("signature")  # the judge's point cannot be computed again; the signature tells
    result.write_text(kept)
    (session / "snapshot.tar.gz").write_bytes(gzip.compress(b"another workspace"))
    found("hand-in")


def test_points_that_the_rubric_does_not_give_are_found_without_a_key(
    proctor: Proctor, tmp_path: Path
) -> None:
    proctor("run", "--out", "run", "--agent", "noop")
    result = tmp_path / "run" / "mini" / "1" / "result.json"
    evaluation = json.loads(result.read_text())["evaluation"]
    results: list[dict[str, Any]] = evaluation["results"]
    earned = {**results[0], "state": "scored", "credit": 1.0, "earned": 2}

    def forge(forged: list[dict[str, Any]]) -> None:
        points = sum(r["points"] for r in forged)
        graded = sum(r["points"] for r in forged if r["state"] != "ungraded")
        score = sum(r["earned"] for r in forged)
        sums = {"score": score, "total_possible": points, "points_graded": graded}
        percentage = round(100 * score / graded, 2) if graded else None
        sums |= {"percentage": percentage, "results": forged}
        change(result, evaluation={**evaluation, **sums})
        done = proctor("verify", str(result), "--json", expect=1)
        assert verdicts(done)["sums"] == "DIFFERS"

    forge([{**r, "points": 0} for r in results])  # what failed counts nothing
    forge([earned, *results])  # a criterion twice, of which the last is true
    forge([{**earned, "credit": 0.0}, *results[1:]])  # points without credit


def test_a_key_that_stands_twice_is_no_result(
    proctor: Proctor, session: Path, keys: tuple[Path, Path]
) -> None:
    result = session / "result.json"
    result.write_text(result.read_text().replace("{", '{"answer": "another",', 1))
    said = proctor("verify", str(result), "--key", str(keys[1]), expect=2).stderr
    assert "stands twice" in said


def test_another_key_or_none_is_no_signature(
    proctor: Proctor, session: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    result = str(session / "result.json")
    said = proctor("verify", result, "--offline", "--key", str(other), expect=1).stdout
    assert "was not signed by the key" in said
    change(session / "result.json", signature=None)
    said = proctor("verify", result, "--offline", "--key", str(keys[1]), expect=1).stdout
    assert "it is not signed" in said


def test_bad_input_is_named(proctor: Proctor, session: Path, tmp_path: Path) -> None:
    assert "run/x cannot be read" in proctor("run", "--sign-key", "run/x", expect=2).stderr
    assert "no private key" in proctor("run", "--sign-key", __file__, expect=2).stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no session" in proctor("grade", str(empty), expect=2).stderr
    nonsense = tmp_path / "nonsense.json"
    nonsense.write_text("[" * 100_000)
    assert "is no result" in proctor("verify", str(nonsense), expect=2).stderr
    (session / "session.json").write_text("{}")
    assert "no record of a session" in proctor("grade", "run", expect=2).stderr
