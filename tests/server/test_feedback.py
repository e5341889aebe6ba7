"""What an agent may learn before it submits."""

from pathlib import Path
from typing import Any

import pytest
from fastmcp.exceptions import ToolError

from proctor.schemas.feedback import Feedback

FORM_IS_RIGHT = "has the form asked for, as far as"


async def check(client: Any) -> str:
    result = await client.call_tool("check_submission", {})
    return str(result.content[0].text)


async def hand_in(client: Any, mini_task: Any, *, fixed: bool = True) -> None:
    files = ["response/report.json", *(["stats.py"] if fixed else [])]
    for path in files:
        content = (mini_task / "solution" / "workspace" / path).read_text()
        await client.call_tool("write_file", {"path": path, "content": content})


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("none/none", Feedback()),
        ("validity/full", Feedback(before="validity", after="full")),
        ("validation/none", Feedback(before="validation")),
        ("3/score", Feedback(before="graded", tries=3, after="score")),
        ("3@600/none", Feedback(before="graded", tries=3, cooldown_s=600)),
    ],
)
def test_a_policy_is_written_in_a_word(text: str, policy: Feedback) -> None:
    assert Feedback.written(text) == policy


@pytest.mark.parametrize("text", ["", "none", "none/", "/score", "0/score", "all/score", "3@/none"])
def test_another_word_is_refused_with_the_notation(text: str) -> None:
    with pytest.raises(ValueError, match="write BEFORE/AFTER"):
        Feedback.written(text)


async def test_without_a_policy_nothing_is_told(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            assert "check_submission" not in [tool.name for tool in await client.list_tools()]
            with pytest.raises(ToolError, match="nothing of how the work stands"):
                await check(client)


async def test_validity_tells_of_the_form_and_of_nothing_else(serving: Any, mini_task: Any) -> None:
    async with serving("validity/none") as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            assert "check_submission" in str(await client.call_tool("status", {}))
            assert "response/report.json: it does not exist" in await check(client)
            await client.call_tool(
                "write_file", {"path": "response/report.json", "content": '{"issue_type": "NONE"}'}
            )
            wrong = await check(client)
            assert wrong == await check(client)
            await hand_in(client, mini_task)
            right = await check(client)
            assert FORM_IS_RIGHT in right
            assert "points" not in wrong + right
        record = await server.record(ticket["session_id"])
        assert record["feedback"]["before"] == "validity"
        assert (record["checks"], record["tries"], record["state"]) == (4, 0, "open")
        assert not list(server.records.glob("**/check-*"))


async def test_graded_tries_tell_of_behaviour_and_not_of_the_diagnosis(
    serving: Any, mini_task: Any
) -> None:
    async with serving("2/none") as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            await hand_in(client, mini_task, fixed=False)
            assert "1 of 5 points, were it handed in now. 5 more are not told" in await check(
                client
            )
            await hand_in(client, mini_task)
            assert "5 of 5 points" in await check(client)
            spent = await check(client)
            assert FORM_IS_RIGHT in spent
            assert "No points: all 2 graded tries are used." in spent
        record = await server.record(ticket["session_id"])
        assert (record["checks"], record["tries"]) == (3, 2)


async def test_a_right_and_a_wrong_diagnosis_are_answered_alike(
    serving: Any, mini_task: Any
) -> None:
    async with serving("2/none") as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            await hand_in(client, mini_task)
            right = await check(client)
            report = (mini_task / "solution" / "workspace" / "response" / "report.json").read_text()
            other = report.replace("OUTLIER", "OVERFITTING")
            await client.call_tool("write_file", {"path": "response/report.json", "content": other})
            assert await check(client) == right


async def test_tries_keep_their_distance(serving: Any, mini_task: Any) -> None:
    async with serving("2@600/none") as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            await hand_in(client, mini_task)
            assert "points" in await check(client)
            assert "the next graded try is possible in" in await check(client)


async def test_attempts_are_counted_by_who_sits_them(serving: Any) -> None:
    async with serving() as server:
        tickets = [
            await server.ticket(**who)
            for who in ({}, {"principal": "one"}, {"principal": "one"}, {})
        ]
        attempts = [(await server.record(t["session_id"]))["attempt"] for t in tickets]
    assert attempts == [1, 1, 2, 2]
    async with serving() as server:  # a server that starts anew has not forgotten
        ticket = await server.ticket(principal="one")
        assert (await server.record(ticket["session_id"]))["attempt"] == 3


DATA_TASK = """
id = "churn"
title = "Who leaves"

[[criteria]]
id = "auc"
points = 5
text = "The predictions rank those who leave first."
grader = "metric"
[criteria.options]
metric = "log_loss"
thresholds = [{ score = 0.6, credit = 1.0 }]
validation = "validation.csv"
"""


OTHERS = range(12, 24)


@pytest.fixture
def churn(task_with: Any) -> Path:
    rows, others = (
        "id,target\n" + "".join(f"{n},{n % 2}\n" for n in ids) for ids in (range(12), OTHERS)
    )
    return task_with(
        {
            "task.toml": DATA_TASK, "grading/labels.csv": rows, "grading/validation.csv": others,
            "decoys/constant/decoy.toml": None, "decoys/constant/workspace/stats.py": None,
        }
    )  # fmt: skip


async def submit_predictions(client: Any, path: str, predictions: list[float]) -> None:
    ids = OTHERS if path == "validation.csv" else range(12)
    rows = "id,target\n" + "".join(f"{n},{p}\n" for n, p in zip(ids, predictions, strict=True))
    await client.call_tool("write_file", {"path": path, "content": rows})


@pytest.mark.parametrize("policy", ["validity/none", "validation/none", "9/none"])
async def test_no_policy_lets_the_tests_labels_be_inferred(
    serving: Any, churn: Path, policy: str
) -> None:
    async with serving(policy, tasks=churn) as server:
        ticket = await server.ticket(task_id="churn")
        async with server.client(ticket["token"]) as client:
            await submit_predictions(client, "validation.csv", [0.5] * 12)
            told = set[str]()
            for likely in range(3):
                predictions = [0.9 if n == likely else 0.5 for n in range(12)]
                await submit_predictions(client, "submission.csv", predictions)
                told.add(await check(client))
            assert len(told) == 1
            assert FORM_IS_RIGHT in told.pop()


async def test_a_validation_score_is_of_the_validation_part(serving: Any, churn: Path) -> None:
    async with serving("validation/none", tasks=churn) as server:
        ticket = await server.ticket(task_id="churn")
        async with server.client(ticket["token"]) as client:
            await submit_predictions(client, "submission.csv", [0.5] * 12)
            assert "no validation score: validation.csv: it does not exist" in await check(client)
            await submit_predictions(client, "validation.csv", [0.5] * 12)
            assert "on the validation part: log_loss 0.6931" in await check(client)
