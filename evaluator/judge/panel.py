"""The judge: several votes on what was handed in, each with a decoy, and what they come to."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio
from anyio.to_thread import run_sync

from proctor.evaluator.judge.material import Material
from proctor.evaluator.judge.model import Answer, Model, Traits, traits_of
from proctor.evaluator.judge.prompt import MET, PROMPT_VERSION, Ballot, Verdict, ballot, labels_of
from proctor.evaluator.judge.purse import Purse
from proctor.evaluator.judge.settings import JudgeSettings
from proctor.evaluator.judge.visible import visible
from proctor.evaluator.judge.votes import tally
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.grade import JudgeRecord, Score
from proctor.schemas.rubric import Criterion

logger = logging.getLogger(__name__)

READINGS = 3
"""How often a vote is asked for until its reply can be read."""
LEAST_REPLY_TOKENS = 512
BYTES_PER_TOKEN = 3
"""A low estimate, so that prompts are thought longer than they are: text and code have about 4."""
REASON_CHARACTERS = 400
DECOY_PASSED = "decoy passed"
TALKED_OVER = (
    "the judge passed a decoy, a criterion that cannot be true: it may have been talked over, "
    "so nothing that it says of this work counts"
)


@dataclass(frozen=True)
class Vote:
    """One reading of the work."""

    verdicts: Mapping[str | None, Verdict] = field(default_factory=dict[str | None, Verdict])
    """By the criterion's id; the decoy's under None; empty where `problem` says why."""
    problem: str = ""
    final: bool = False
    """Whether further votes would meet the same problem."""

    @property
    def passed_decoy(self) -> bool:
        """Whether it found what cannot be there."""
        decoy = self.verdicts.get(None)
        return decoy is not None and decoy.verdict == MET


@dataclass(frozen=True)
class Judgement:
    """What a judge makes of a submission."""

    scores: Mapping[str, Score]
    """By the criterion's id."""
    record: JudgeRecord


class Judge:
    """Reads prose by asking a model; shared by all gradings."""

    def __init__(self, settings: JudgeSettings) -> None:
        self.settings = settings

    async def judge(self, criteria: Sequence[Criterion], material: Material) -> Judgement:
        """Judge every criterion, in one batch per vote.

        A judge that fails, disagrees with itself or is talked over leaves criteria ungraded.

        Raises:
            GradingError: The model's name is wrong.
        """
        traits = await run_sync(traits_of, self.settings.model)
        sitting = _Sitting(self.settings, traits)
        votes = await sitting.votes(criteria, material)
        flags = _flags(votes)
        for flag in flags:
            logger.warning("the judge %s: %s", self.settings.model, flag)
        if any(vote.passed_decoy for vote in votes):
            scores = dict.fromkeys((c.id for c in criteria), _ungraded(TALKED_OVER))
        else:
            scores = {criterion.id: self._weigh(criterion, votes) for criterion in criteria}
        return Judgement(scores, sitting.record(flags))

    def _weigh(self, criterion: Criterion, votes: Sequence[Vote]) -> Score:
        said = [vote.verdicts[criterion.id] for vote in votes if vote.verdicts]
        labels = [verdict.verdict for verdict in said]
        counted = tally(labels, self.settings.votes, self.settings.agreement)
        if counted.label is None:
            problems = dict.fromkeys(vote.problem for vote in votes if vote.problem)
            if said and not problems:
                return _ungraded(f"the judge disagreed with itself: {counted.told}")
            why = "; ".join(problems)
            return _ungraded(f"the judge gave no majority ({counted.told}): {why}")
        reason = next(v.reason for v in said if v.verdict == counted.label)
        return Score(
            state="scored",
            credit=labels_of(criterion)[counted.label],
            evidence=f"{counted.told} of {self.settings.votes} votes by {self.settings.model}: "
            + visible(reason).replace("\n", " ")[:REASON_CHARACTERS],
        )


class _Sitting:
    """One grade's votes and what they cost."""

    def __init__(self, settings: JudgeSettings, traits: Traits) -> None:
        self._settings = settings
        self._traits = traits
        self._model = Model(settings, traits)
        self._purse = Purse(settings.max_tokens, settings.max_usd, traits.rates)
        self._token = secrets.token_hex(16)
        self._longest = 0
        """The longest prompt so far, in tokens as the provider counts them."""

    async def votes(self, criteria: Sequence[Criterion], material: Material) -> list[Vote]:
        """All votes, in order; the first by itself, since it shows what the others will cost."""
        count = self._settings.votes
        ballots = [ballot(criteria, material, self._token) for _ in range(count)]
        first = await self._vote(0, ballots[0])
        if first.final or count == 1:
            return [first]
        votes = [first] * count
        prompt_tokens = max(self._tokens_of(each) for each in ballots)
        room = self._purse.room_for_reply(prompt_tokens, calls=count - 1)
        together = count - 1 if room >= self._traits.max_reply_tokens else 1
        limit = anyio.CapacityLimiter(together)

        async def cast(number: int) -> None:
            async with limit:
                votes[number] = await self._vote(number, ballots[number])

        async with task_group() as tasks:
            for number in range(1, count):
                tasks.start_soon(cast, number)
        return votes

    def record(self, flags: tuple[str, ...]) -> JudgeRecord:
        """What there is to be known of the sitting."""
        return JudgeRecord(
            model=self._settings.model,
            votes=self._settings.votes,
            temperature=self._traits.temperature(self._settings),
            seed=self._traits.seed(self._settings),
            prompt_version=PROMPT_VERSION,
            calls=self._purse.requests,
            tokens=self._purse.tokens,
            cost_usd=self._purse.usd,
            flags=flags,
        )

    async def _vote(self, number: int, sheet: Ballot) -> Vote:
        """One vote; a reply that cannot be read is asked for again."""
        problem = ""
        for _ in range(READINGS):
            answer = await self._ask(number, sheet)
            if answer.text is None:
                return Vote(problem=answer.problem, final=answer.final)
            try:
                return Vote(sheet.read(answer.text))
            except ValueError as error:
                problem = f"the reply cannot be read: {error}"
        return Vote(problem=problem)

    async def _ask(self, number: int, sheet: Ballot) -> Answer:
        prompt_tokens = self._tokens_of(sheet)
        room = self._purse.room_for_reply(prompt_tokens)
        if room < LEAST_REPLY_TOKENS:
            return Answer(None, f"{self._purse.caps} leaves no room for another call")
        reply_tokens = min(room, self._traits.max_reply_tokens)
        with self._purse.paying(prompt_tokens, reply_tokens) as bill:
            answer = await self._model.ask(
                sheet.messages, sheet.schema, vote=number, max_tokens=reply_tokens, bill=bill
            )
        self._longest = max(self._longest, bill.prompt_tokens or 0)
        return answer

    def _tokens_of(self, sheet: Ballot) -> int:
        """About how many tokens a prompt has: rather too many, and no fewer than one before it."""
        size = sum(len(message["content"].encode()) for message in sheet.messages)
        return max(size // BYTES_PER_TOKEN, self._longest)


def _flags(votes: Sequence[Vote]) -> tuple[str, ...]:
    """What is to be known of the votes beside the scores: which went wrong, and how."""
    remarks = [
        (number, DECOY_PASSED if vote.passed_decoy else vote.problem)
        for number, vote in enumerate(votes, start=1)
    ]
    by_remark: dict[str, list[str]] = {}
    for number, remark in remarks:
        if remark:
            by_remark.setdefault(remark, []).append(str(number))
    return tuple(f"vote {', '.join(who)}: {remark}" for remark, who in by_remark.items())


def _ungraded(why: str) -> Score:
    return Score(state="ungraded", evidence=why, broken=True)
