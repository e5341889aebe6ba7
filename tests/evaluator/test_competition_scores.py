"""Every competition that can be graded, against a grader of its own that is written out plainly.

What each of them asks for stands here a second time, as MLE-bench's facts have it, with pandas,
scikit-learn and loops; nothing of the evaluator is used for what is expected.
"""

import math
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest

from proctor.evaluator.competitions import measure
from proctor.schemas.competition import Compat, Competition
from proctor.tasks.competitions.definition import read_definition
from proctor.tasks.competitions.library import BUNDLED, KAGGLE, OFFLINE

SKLEARN: Any = import_module("sklearn.metrics")
MULTI_HOT: Any = import_module("sklearn.preprocessing").MultiLabelBinarizer
Frame: Any = import_module("pandas").DataFrame
Table: TypeAlias = Any
"""A frame of pandas, which is typed in part only."""
Cells = list[Any]
Rng = np.random.RandomState
ROWS = 30
SIDE = 6
"""Of the images whose masks are predicted."""


class Case(NamedTuple):
    """One competition."""

    ids: str
    targets: tuple[str, ...]
    drawn: Callable[[Rng, "Case"], tuple[Table, Table]]
    """Answers and a submission, without ids, row by row."""
    score: Callable[[Table, Table], float]
    """Of both with their ids, brought together."""


Drawing = Callable[[Rng, Case], tuple[Table, Table]]

# Scores, slowly


def auc(true: Cells, said: Cells) -> float:
    ones = [each for each, label in zip(said, true, strict=True) if label]
    zeros = [each for each, label in zip(said, true, strict=True) if not label]
    pairs = [(a, b) for a in ones for b in zeros]
    return fmean((a > b) + (a == b) / 2 for a, b in pairs)


def mean_auc(*columns: str) -> Callable[[Table, Table], float]:
    return lambda true, said: fmean(auc(list(true[each]), list(said[each])) for each in columns)


def one(
    score: Callable[[Cells, Cells], float], name: str, real: str = ""
) -> Callable[[Table, Table], float]:
    return lambda true, said: float(score(list(true[real or name]), list(said[name])))


def rmse(true: Cells, said: Cells) -> float:
    return math.sqrt(fmean((a - b) ** 2 for a, b in zip(true, said, strict=True)))


def mae(true: Cells, said: Cells) -> float:
    return fmean(abs(a - b) for a, b in zip(true, said, strict=True))


def rmsle(true: Cells, said: Cells) -> float:
    return rmse([math.log1p(each) for each in true], [math.log1p(each) for each in said])


def kappa(true: Cells, said: Cells) -> float:
    return float(SKLEARN.cohen_kappa_score(true, said, weights="quadratic"))


def log_loss(true: Cells, said: Cells) -> float:
    least = 2.220446049250313e-16
    right = (b if a else 1 - b for a, b in zip(true, said, strict=True))
    return -fmean(math.log(min(max(each, least), 1 - least)) for each in right)


def class_loss(real: str, classes: Sequence[str]) -> Callable[[Table, Table], float]:
    def score(true: Table, said: Table) -> float:
        least = 2.220446049250313e-16
        right = (said[label].iloc[n] for n, label in enumerate(true[real]))
        assert set(true[real]) <= set(classes)
        return -fmean(math.log(min(max(each, least), 1 - least)) for each in right)

    return score


def edits(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for n, x in enumerate(a, 1):
        last, row[0] = row[0], n
        for m, y in enumerate(b, 1):
            last, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, last + (x != y))
    return row[-1]


def mean_edits(true: Cells, said: Cells) -> float:
    return fmean(map(edits, true, said))


def shared_words(true: Cells, said: Cells) -> float:
    pairs = [({*a.lower().split()}, {*b.lower().split()}) for a, b in zip(true, said, strict=True)]
    return fmean(len(a & b) / len(a | b) for a, b in pairs)


def tags_f1(true: Cells, said: Cells) -> float:
    hot = MULTI_HOT().fit([each.split() for each in true])
    known = set(hot.classes_)
    kept = [[tag for tag in each.split() if tag in known] for each in said]
    a, b = hot.transform([each.split() for each in true]), hot.transform(kept)
    return float(SKLEARN.f1_score(a, b, average="micro"))


def map_at(k: int, *, as_numbers: bool = False) -> Callable[[Cells, Cells], float]:
    def precision(true: str, said: str) -> float:
        read: Callable[[str], object] = int if as_numbers else str
        wanted, guesses = {read(each) for each in true.split()}, said.split()[:k]
        found, hits = 0.0, set[object]()
        for n, guess in enumerate(map(read, guesses), 1):
            if guess in wanted - hits:
                hits.add(guess)
                found += len(hits) / n
        return found / min(len(wanted), k)

    return lambda true, said: fmean(map(precision, true, said))


def pixels(cell: str) -> set[int]:
    numbers = [int(each) for each in cell.split()]
    runs = zip(numbers[::2], numbers[1::2], strict=True)
    return {pixel for start, length in runs for pixel in range(start, start + length)}


def dice(true: Cells, said: Cells) -> float:
    pairs = [(pixels(a), pixels(b)) for a, b in zip(true, said, strict=True)]
    return fmean(2 * len(a & b) / (len(a) + len(b)) if a | b else 1.0 for a, b in pairs)


def angles(true: Table, said: Table) -> float:
    def vector(azimuth: float, zenith: float) -> tuple[float, ...]:
        flat = math.sin(zenith)
        return math.cos(azimuth) * flat, math.sin(azimuth) * flat, math.cos(zenith)

    names = ["azimuth", "zenith"]
    pairs = zip(true[names].to_numpy(), said[names].to_numpy(), strict=True)
    dots = [math.fsum(x * y for x, y in zip(vector(*a), vector(*b), strict=True)) for a, b in pairs]
    return fmean(math.acos(max(-1.0, min(1.0, each))) for each in dots)


def by_type(true: Table, said: Table) -> float:
    target = "scalar_coupling_constant"
    errors = {
        kind: [abs(a - b) for a, b, c in zip(true[target], said[target], true["type"], strict=True)
               if c == kind]
        for kind in set(true["type"])
    }  # fmt: skip
    return fmean(math.log(fmean(each)) for each in errors.values())


def breathed_in(true: Table, said: Table) -> float:
    inhaled = [n for n, out in enumerate(true["u_out"]) if out == 0]
    return fmean(abs(true["pressure"].iloc[n] - said["pressure"].iloc[n]) for n in inhaled)


def matthews(true: Cells, said: Cells) -> float:
    return float(SKLEARN.matthews_corrcoef(true, said))


def macro_f1(true: Cells, said: Cells) -> float:
    return float(SKLEARN.f1_score(true, said, average="macro"))


def probable_f1(true: Cells, said: Cells) -> float:
    sure = [min(max(each, 0.0), 1.0) for each in said]
    hits = sum(b for a, b in zip(true, sure, strict=True) if a)
    precision, recall = hits / sum(sure), hits / sum(true)
    return float(2 * precision * recall / (precision + recall))


def equal(true: Cells, said: Cells) -> float:
    return fmean(a == b for a, b in zip(true, said, strict=True))


def correlation(true: Cells, said: Cells) -> float:
    a, b = fmean(true), fmean(said)
    both = math.fsum((x - a) * (y - b) for x, y in zip(true, said, strict=True))
    apart = [math.fsum((x - m) ** 2 for x in some) for some, m in ((true, a), (said, b))]
    return both / math.sqrt(apart[0] * apart[1])


def ranks(true: Table, said: Table) -> float:
    return fmean(
        correlation(list(true[each].rank()), list(said[each].rank()))
        for each in true.columns if each != "qa_id"
    )  # fmt: skip


def precision_at_hits(true: Cells, said: Cells) -> float:
    return float(SKLEARN.average_precision_score(true, said))


# Tables


def likely(rng: Rng, case: Case) -> tuple[Table, Table]:
    """Zeros and ones, and how likely a one is; some are alike."""
    shape = (ROWS, len(case.targets))
    true = rng.randint(0, 2, shape)
    true[:2] = [[0], [1]]
    said = (true * 0.3 + rng.rand(*shape) * 0.7).round(2)
    return Frame(true, columns=case.targets), Frame(said, columns=case.targets)


def numbers(low: float, high: float) -> Drawing:
    def drawn(rng: Rng, case: Case) -> tuple[Table, Table]:
        shape = (ROWS, len(case.targets))
        true, said = rng.uniform(low, high, shape), rng.uniform(low, high, shape)
        return Frame(true, columns=case.targets), Frame(said, columns=case.targets)

    return drawn


def picked(*cells: object) -> Drawing:
    """Labels, half of them right."""

    def drawn(rng: Rng, case: Case) -> tuple[Table, Table]:
        (target,) = case.targets
        true, guessed = (rng.randint(0, len(cells), ROWS) for _ in range(2))
        said = np.where(rng.rand(ROWS) < 0.5, true, guessed)
        return Frame({target: [cells[n] for n in true]}), Frame({target: [cells[n] for n in said]})

    return drawn


def shares(real: str) -> Drawing:
    """A class, and a share for each."""

    def drawn(rng: Rng, case: Case) -> tuple[Table, Table]:
        drawn_ones: list[int] = rng.randint(0, len(case.targets), ROWS).tolist()
        true = [case.targets[n] for n in drawn_ones]
        said = Frame(rng.dirichlet([0.3] * len(case.targets), ROWS), columns=case.targets)
        if real:
            return Frame({real: true}), said
        return Frame({each: [int(label == each) for label in true] for each in case.targets}), said

    return drawn


def words(least: int, *known: str) -> Drawing:
    """Sentences; those that are said may be shorter."""

    def drawn(rng: Rng, case: Case) -> tuple[Table, Table]:
        def some(fewest: int) -> list[str]:
            sizes = rng.randint(fewest, 5, ROWS)
            return [" ".join(rng.choice(known, size, replace=False)) for size in sizes]

        (target,) = case.targets
        return Frame({target: some(max(least, 1))}), Frame({target: some(least)})

    return drawn


def masks(rng: Rng, case: Case) -> tuple[Table, Table]:
    def runs() -> str:
        starts = np.flatnonzero(rng.rand(SIDE * SIDE // 4) < 0.4) * 4 + 1
        return " ".join(f"{start} {rng.randint(1, 4)}" for start in starts)

    (target,) = case.targets
    true = Frame({target: ["", "", *(runs() for _ in range(ROWS - 2))]})
    said = Frame({target: ["", "1 2", *(runs() for _ in range(ROWS - 2))]})
    return true.assign(height=SIDE, width=SIDE), said


def along(name: str, *cells: object) -> Drawing:
    """Numbers, and a further column of the answers."""

    def drawn(rng: Rng, case: Case) -> tuple[Table, Table]:
        true, said = numbers(-9, 9)(rng, case)
        true[name] = [cells[n % len(cells)] for n in range(ROWS)]
        return true, said

    return drawn


def classes(name: str) -> tuple[str, ...]:
    return read_definition(KAGGLE / name).file.form.targets


def likely_case(ids: str, *targets: str) -> Case:
    return Case(ids, targets, likely, mean_auc(*targets))


def loss_case(name: str, ids: str, real: str) -> Case:
    labels = classes(name)
    return Case(ids, labels, shares(real), class_loss(real, labels))


def single(ids: str, target: str, drawn: Drawing, score: Callable[[Cells, Cells], float]) -> Case:
    return Case(ids, (target,), drawn, one(score, target))


QUEST = classes("google-quest-challenge")
TOXIC = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
TUBES = (
    "ETT - Abnormal", "ETT - Borderline", "ETT - Normal", "NGT - Abnormal", "NGT - Borderline",
    "NGT - Incompletely Imaged", "NGT - Normal", "CVC - Abnormal", "CVC - Borderline",
)  # fmt: skip
ARENA = ("winner_model_a", "winner_model_b", "winner_tie")
CRYSTAL = ("formation_energy_ev_natom", "bandgap_energy_ev")
SPOKEN = ("twenty one", "nan", "sil", "один", "a,b", 'he said "no"')
TEXTS = ("InChI=1S/C2H6/c1-2", "InChI=1S/CH4/h1H4", "InChI=1S/H2O/h1H2", "InChI=1S/O2/c1-2")
TAGS = ("java", "c#", ".net", "php", "html5", "c++")
SEEN = ("Good", "good", "boy", "likes", "Cake", "naïve")


def first_of_five(true: Table, said: Table) -> float:
    return map_at(5)([each.split()[0] for each in true["hotel_id"]], list(said["hotel_id"]))


def arena_loss(true: Table, said: Table) -> float:
    return class_loss("is", ARENA)(Frame({"is": true[list(ARENA)].idxmax(axis=1)}), said)


def crystal_errors(true: Table, said: Table) -> float:
    return fmean(rmsle(list(true[each]), list(said[each])) for each in CRYSTAL)


def gathered(rng: Rng, case: Case) -> tuple[Table, Table]:
    """Articles that were bought, whose ids have lost their zeros in the answers."""
    true, said = words(1, "108775015", "372860001", "610776002", "759871002", "9")(rng, case)
    return true.rename(columns={"prediction": "article_id"}), said


CASES: dict[str, Case] = {
    "aerial-cactus-identification": likely_case("id", "has_cactus"),
    "aptos2019-blindness-detection": single("id_code", "diagnosis", picked(0, 1, 2, 3, 4), kappa),
    "bms-molecular-translation": single("image_id", "InChI", picked(*TEXTS), mean_edits),
    "chaii-hindi-and-tamil-question-answering": single(
        "id", "PredictionString", words(0, *SEEN), shared_words
    ),
    "champs-scalar-coupling": Case(
        "id", ("scalar_coupling_constant",), along("type", "1JHC", "2JHH", "3JHN"), by_type
    ),
    "denoising-dirty-documents": single("id", "value", numbers(0, 1), rmse),
    "detecting-insults-in-social-commentary": likely_case("Comment", "Insult"),
    "dog-breed-identification": loss_case("dog-breed-identification", "id", "breed"),
    "dogs-vs-cats-redux-kernels-edition": single("id", "label", likely, log_loss),
    "facebook-recruiting-iii-keyword-extraction": single("Id", "Tags", words(0, *TAGS), tags_f1),
    "google-quest-challenge": Case("qa_id", QUEST, numbers(0, 1), ranks),
    "h-and-m-personalized-fashion-recommendations": Case(
        "customer_id",
        ("prediction",),
        gathered,
        one(map_at(12, as_numbers=True), "prediction", "article_id"),
    ),
    "histopathologic-cancer-detection": likely_case("id", "label"),
    "hotel-id-2021-fgvc8": Case(
        "image",
        ("hotel_id",),
        words(1, "36363", "53586", "18807", "5", "6"),
        first_of_five,
    ),
    "hubmap-kidney-segmentation": single("id", "predicted", masks, dice),
    "icecube-neutrinos-in-deep-ice": Case("event_id", ("azimuth", "zenith"), numbers(0, 3), angles),
    "imet-2020-fgvc7": single("id", "attribute_ids", words(0, "1", "13", "7", "448", "9"), tags_f1),
    "invasive-species-monitoring": likely_case("name", "invasive"),
    "iwildcam-2019-fgvc6": single("Id", "Category", picked(0, 3, 8, 13, 22), macro_f1),
    "jigsaw-toxic-comment-classification-challenge": likely_case("id", *TOXIC),
    "leaf-classification": loss_case("leaf-classification", "id", "species"),
    "learning-agency-lab-automated-essay-scoring-2": single(
        "essay_id", "score", picked(1, 2, 3, 4, 5, 6), kappa
    ),
    "lmsys-chatbot-arena": Case(
        "id",
        ARENA,
        shares(""),
        arena_loss,
    ),
    "mlsp-2013-birds": likely_case("Id", "Probability"),
    "movie-review-sentiment-analysis-kernels-only": single(
        "PhraseId", "Sentiment", picked(0, 1, 2, 3, 4), equal
    ),
    "new-york-city-taxi-fare-prediction": single("key", "fare_amount", numbers(2, 90), rmse),
    "nfl-player-contact-detection": single("contact_id", "contact", picked(0, 1), matthews),
    "nomad2018-predict-transparent-conductors": Case(
        "id",
        CRYSTAL,
        numbers(0, 4),
        crystal_errors,
    ),
    "paddy-disease-classification": single(
        "image_id", "label", picked("blast", "normal", "dead_heart"), equal
    ),
    "petfinder-pawpularity-score": single("Id", "Pawpularity", numbers(1, 100), rmse),
    "plant-pathology-2020-fgvc7": likely_case(
        "image_id", "healthy", "multiple_diseases", "rust", "scab"
    ),
    "plant-pathology-2021-fgvc8": single(
        "image", "labels", words(0, "healthy", "scab", "rust", "complex"), tags_f1
    ),
    "playground-series-s3e18": likely_case("id", "EC1", "EC2"),
    "predict-volcanic-eruptions-ingv-oe": single(
        "segment_id",
        "time_to_eruption",
        numbers(1e6, 4e7),
        lambda true, said: round(mae(true, said)),
    ),
    "random-acts-of-pizza": likely_case("request_id", "requester_received_pizza"),
    "ranzcr-clip-catheter-line-classification": likely_case("StudyInstanceUID", *TUBES),
    "rsna-breast-cancer-detection": single("prediction_id", "cancer", likely, probable_f1),
    "rsna-miccai-brain-tumor-radiogenomic-classification": likely_case("BraTS21ID", "MGMT_value"),
    "seti-breakthrough-listen": likely_case("id", "target"),
    "siim-isic-melanoma-classification": likely_case("image_name", "target"),
    "spaceship-titanic": single("PassengerId", "Transported", picked(True, False), equal),  # noqa: FBT003 - a label
    "spooky-author-identification": loss_case("spooky-author-identification", "id", "author"),
    "statoil-iceberg-classifier-challenge": single("id", "is_iceberg", likely, log_loss),
    "tabular-playground-series-dec-2021": single("Id", "Cover_Type", picked(1, 2, 3, 7), equal),
    "tabular-playground-series-may-2022": likely_case("id", "target"),
    "text-normalization-challenge-english-language": single("id", "after", picked(*SPOKEN), equal),
    "text-normalization-challenge-russian-language": single("id", "after", picked(*SPOKEN), equal),
    "the-icml-2013-whale-challenge-right-whale-redux": likely_case("clip", "probability"),
    "tweet-sentiment-extraction": single("textID", "selected_text", words(0, *SEEN), shared_words),
    "us-patent-phrase-to-phrase-matching": single("id", "score", numbers(0, 1), correlation),
    "ventilator-pressure-prediction": Case("id", ("pressure",), along("u_out", 0, 1), breathed_in),
    # Offline
    "bakery-sales": single("row_id", "sold", numbers(0, 50), rmsle),
    "card-holds": single("payment_id", "fraud", likely, precision_at_hits),
    "cell-samples": likely_case("sample_id", "malignant"),
    "guest-reviews": single(
        "review_id",
        "stars",
        picked(1, 2, 3, 4, 5),
        lambda true, said: SKLEARN.cohen_kappa_score(
            true, said, weights="quadratic", labels=[1, 2, 3, 4, 5]
        ),
    ),
    "kiln-gas": single("firing_id", "gas_m3", numbers(0, 50), rmse),
    "meter-digits": single("image_id", "digit", picked(*range(10)), equal),
    "pump-faults": single("visit_id", "fault", picked("seal", "none", "motor"), macro_f1),
    "ward-stays": single("admission_id", "days", numbers(0, 20), mae),
}
NUMBERED = ("aerial-cactus-identification", "champs-scalar-coupling", "google-quest-challenge")
"""Some whose ids are numbers here: a type that pandas guesses, and another order."""


class Made(NamedTuple):
    """Tables on disk, and what they score."""

    competition: Competition
    answers: Path
    submission: Path
    expected: float

    def graded(self, compat: Compat) -> Any:
        """By one of the two rules."""
        return measure(self.competition, self.submission, self.answers, compat)


def drawn(name: str, seed: int, place: Path) -> Made:
    """The answers of a competition and a submission, whose rows are in another order."""
    case, rng = CASES[name], Rng(seed)
    folder = KAGGLE if (KAGGLE / name).exists() else OFFLINE
    true, said = case.drawn(rng, case)
    if name == "hotel-id-2021-fgvc8":
        true["hotel_id"] = [each.split()[0] for each in true["hotel_id"]]
    order = rng.permutation(ROWS) + 7
    ids = [int(n) if name in NUMBERED else f"row {n}" for n in order]
    true.insert(0, case.ids, ids)
    said.insert(0, case.ids, ids)
    expected = case.score(true, said)
    competition = read_definition(folder / name).competition
    if competition.upstream.align != "position":
        said = said.sample(frac=1, random_state=rng)
    if competition.form.gathered:  # a row for each
        true["article_id"] = true["article_id"].str.split()
        true = true.explode("article_id")
    answers, submission = place / "answers.csv", place / "submission.csv"
    true.to_csv(answers, index=False)
    said.to_csv(submission, index=False)
    return Made(competition, answers, submission, expected)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compat", ["strict", "upstream"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_submission_scores_what_a_plain_grader_gives(
    name: str, compat: Compat, seed: int, tmp_path: Path
) -> None:
    made = drawn(name, seed, tmp_path)
    found = made.graded(compat)
    assert found.reason is None
    assert found.score == pytest.approx(made.expected, abs=1e-5, rel=0)
    assert found.score == round(found.score, 5)


def test_every_competition_that_can_be_graded_is_here() -> None:
    there = [place.parent for folder in BUNDLED for place in folder.glob("*/competition.toml")]
    supported = {each.name for each in there if not read_definition(each).file.unsupported}
    assert supported == set(CASES)
