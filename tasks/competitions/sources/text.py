"""``text``: short reviews that a grammar writes, and the grade that goes with each.

A review says something of a few topics: each opinion is good or bad, mild or strong. It is said by
a word of its own kind, or by denying one of the other kind, so that words alone mislead. Further
sentences tell what others said, what was there before, or nothing at all. Words are bent, put
together and misspelt, so that many stand in a review or two only, and yet look like others. The
grade is the weighted mean of the opinions, with what the guest does not say on top.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from proctor.evaluator.metrics.base import Array
from proctor.schemas.base import Value
from proctor.tasks.competitions.sources.made import Made

STRONG_FROM = 0.9
"""An opinion is strong from here on, in standard deviations."""
STRENGTHS = (1.0, 2.2)
"""What a mild and a strong opinion weigh."""
COMMON = 0.8
"""How far a guest's opinions go together."""
SAID = (
    "the {noun} was {how} {word}", "{how} {word} {noun}", "we found the {noun} {how} {word}",
    "{noun}: {how} {word}", "what a {how} {word} {noun}", "i would call the {noun} {how} {word}",
    "the {noun}, i must say, was {how} {word}",
    "and then the {noun}, {how} {word} from the first day to the last",
)  # fmt: skip
DENIED = (
    "the {noun} was {how} not {word}", "{how} anything but {word}, the {noun}",
    "the {noun} was {how} never {word}", "not {word}, the {noun}, {how}",
    "nobody could call the {noun} {how} {word}", "the {noun} was hardly {word}, {how}",
    "{how} no {word} {noun}", "i had waited for a {word} {noun} and got {how} the opposite",
)  # fmt: skip
BESIDE = (
    "others wrote that the {noun} was {word}", "last year the {noun} was {word}",
    "my neighbour had told me of a {word} {noun}", "elsewhere the {noun} is always {word}",
    "the {noun} next door looked {word}",
)  # fmt: skip
NOTHING = (
    "we came from {place} by train", "we stayed for {count} nights", "{place} is worth the way",
    "we were a party of {count}", "the walk to {place} takes {count} minutes",
    "it was our trip number {count}",
)  # fmt: skip
MILD = ("rather", "a bit", "somewhat", "fairly", "more or less")
STRONG = ("very", "utterly", "incredibly", "so", "beyond measure", "absolutely")
JOINTS = (". ", ", ", " and ", " but ", "; ", " - ", "! ")
ENDINGS = ("ish", "y", "like", "est", "er", "ful")
BEGINNINGS = ("super", "over", "ultra", "half", "semi")
SYLLABLES = ("bar", "kel", "mon", "tra", "vis", "lo", "ner", "gal", "du", "phi", "sto", "wen")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
BENT = 0.3
"""The share of words with an ending or a beginning of the guest's own."""


class Topic(Value):
    """What guests speak about."""

    weight: float = Field(gt=0)
    """In the grade."""
    nouns: tuple[str, ...] = Field(min_length=1)


class Settings(Value):
    """The words, and how clearly guests speak."""

    rows: int = Field(gt=0)
    text: str
    """What the column of reviews is called."""
    target: str
    shares: tuple[float, ...] = Field(min_length=2)
    """Of the grades 1, 2, …"""
    topics: Mapping[str, Topic]
    good: tuple[str, ...] = Field(min_length=1)
    bad: tuple[str, ...] = Field(min_length=1)
    denied: float = Field(ge=0, le=1)
    """The share of opinions that deny a word of the other kind."""
    beside: float = Field(ge=0)
    """Sentences on the way to nothing, for each opinion."""
    typos: float = Field(ge=0, lt=1)
    """The share of words that are misspelt."""
    unsaid: float = Field(ge=0)
    """In standard deviations of what is said."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.shares) - 1) > 1e-9:  # noqa: PLR2004 - they are decimals
            raise ValueError("the shares of the grades must add up to 1")
        return self


class Review(NamedTuple):
    """A text, and what it says in sum."""

    text: str
    said: float


def make(settings: Settings, rng: np.random.Generator) -> Made:
    """Write the reviews."""
    reviews = [_review(settings, rng) for _ in range(settings.rows)]
    said = np.array([each.said for each in reviews])
    felt = said / said.std() + settings.unsaid * rng.normal(size=settings.rows)
    steps = np.quantile(felt, np.cumsum(settings.shares)[:-1])
    table: dict[str, Any] = {
        settings.text: [each.text for each in reviews],
        settings.target: np.searchsorted(steps, felt) + 1,
    }
    return Made(pl.DataFrame(table), (settings.target,))


def _review(settings: Settings, rng: np.random.Generator) -> Review:
    names = rng.permutation(list(settings.topics))[: rng.integers(2, 5)]
    mood, sentences, said, weights = float(rng.normal()), list[str](), 0.0, 0.0
    for topic in (settings.topics[str(name)] for name in names):
        opinion = COMMON * mood + sqrt(1 - COMMON**2) * float(rng.normal())
        strong = abs(opinion) > STRONG_FROM
        said += topic.weight * STRENGTHS[strong] * (1 if opinion > 0 else -1)
        weights += topic.weight
        sentences.append(_opinion(settings, topic, rng, good=opinion > 0, strong=strong))
        if rng.random() < settings.beside:
            sentences.append(_aside(settings, rng))
    order = rng.permutation(len(sentences))
    text = _joined([sentences[int(n)] for n in order], rng)
    return Review(_misspelt(text, settings.typos, rng), said / weights)


def _opinion(
    settings: Settings, topic: Topic, rng: np.random.Generator, *, good: bool, strong: bool
) -> str:
    denied = rng.random() < settings.denied
    word = _word(settings.good if good != denied else settings.bad, rng)
    bare = not strong and rng.random() < 0.5  # noqa: PLR2004 - half of the mild ones
    how = "" if bare else _one(STRONG if strong else MILD, rng)
    sentence = _one(DENIED if denied else SAID, rng)
    found = sentence.format(noun=_one(topic.nouns, rng), how=how, word=word)
    return " ".join(found.split()).replace(" ,", ",").removesuffix(",")


def _aside(settings: Settings, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:  # noqa: PLR2004 - one kind as often as the other
        place = "".join(_one(SYLLABLES, rng) for _ in range(rng.integers(2, 4)))
        return _one(NOTHING, rng).format(place=place, count=rng.integers(2, 40))
    nouns = settings.topics[_one(tuple(settings.topics), rng)].nouns
    word = _word(settings.good if rng.random() < 0.5 else settings.bad, rng)  # noqa: PLR2004
    return _one(BESIDE, rng).format(noun=_one(nouns, rng), word=word)


def _word(words: Sequence[str], rng: np.random.Generator) -> str:
    """One of the words, the first ones more often, perhaps bent."""
    word = words[int(len(words) * rng.random() ** 2)]
    if rng.random() >= BENT:
        return word
    if rng.random() < 0.5:  # noqa: PLR2004 - one kind as often as the other
        return _one(BEGINNINGS, rng) + word
    return word.rstrip("ey") + _one(ENDINGS, rng)


def _one(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]


def _joined(sentences: Sequence[str], rng: np.random.Generator) -> str:
    text = sentences[0]
    for each in sentences[1:]:
        text += _one(JOINTS, rng) + each
    return text


def _misspelt(text: str, share: float, rng: np.random.Generator) -> str:
    words = text.split(" ")
    wrong: Array = rng.random(len(words)) < share
    return " ".join(
        _typo(word, rng) if wrong[n] and len(word) > 3 else word  # noqa: PLR2004 - short ones stay
        for n, word in enumerate(words)
    )


def _typo(word: str, rng: np.random.Generator) -> str:
    """Two letters swapped, one left out, one twice, or another one."""
    at = int(rng.integers(len(word) - 1))
    a, b, rest = word[at], word[at + 1], word[at + 2 :]
    other = LETTERS[int(rng.integers(len(LETTERS)))]
    return word[:at] + (b + a, b, a + a + b, other + b)[rng.integers(4)] + rest
