"""Raw files of Kaggle's competitions in the small: the right names and columns, made-up cells.

A builder writes a competition's raw folder and returns the table whose rows are split. Cells are
such that a perfect submission exists and every metric is defined on any tenth of the rows.
"""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import py7zr
from PIL import Image

QUEST = [
    "question_asker_intent_understanding",
    "question_body_critical",
    "question_conversational",
    "question_expect_short_answer",
    "question_fact_seeking",
    "question_has_commonly_accepted_answer",
    "question_interestingness_others",
    "question_interestingness_self",
    "question_multi_intent",
    "question_not_really_a_question",
    "question_opinion_seeking",
    "question_type_choice",
    "question_type_compare",
    "question_type_consequence",
    "question_type_definition",
    "question_type_entity",
    "question_type_instructions",
    "question_type_procedure",
    "question_type_reason_explanation",
    "question_type_spelling",
    "question_well_written",
    "answer_helpful",
    "answer_level_of_information",
    "answer_plausible",
    "answer_relevance",
    "answer_satisfaction",
    "answer_type_instructions",
    "answer_type_procedure",
    "answer_type_reason_explanation",
    "answer_well_written",
]
SECRET = b"what the test must not tell"


class Folder:
    """A raw folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, data: bytes | str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data.encode() if isinstance(data, str) else data)

    def csv(self, path: str, table: pd.DataFrame, sep: str = ",") -> pd.DataFrame:
        self.write(path, table.to_csv(index=False, sep=sep))
        return table

    def parquet(self, path: str, table: pd.DataFrame) -> pd.DataFrame:
        made = io.BytesIO()
        table.to_parquet(made, index=False)
        self.write(path, made.getvalue())
        return table

    def images(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.write(path, image(path))

    def zip(self, path: str, members: dict[str, bytes]) -> None:
        self.write(path, b"")
        with zipfile.ZipFile(self.root / path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    def seven(self, path: str, members: dict[str, bytes]) -> None:
        self.write(path, b"")
        with py7zr.SevenZipFile(self.root / path, "w") as archive:
            for name, data in members.items():
                archive.writestr(data, name)


def image(path: str) -> bytes:
    """A real image, another for each name, in the format of its ending; DICOM is only named so."""
    kind = {"png": "PNG", "jpg": "JPEG", "tiff": "TIFF"}.get(path.rpartition(".")[2])
    if kind is None:
        return f"bytes of {path.rpartition('/')[2]}".encode()
    made = io.BytesIO()
    seed = sum(map(ord, path.rpartition("/")[2]))
    Image.new("RGB", (4, 3), (seed % 256, seed % 7, seed % 11)).save(made, kind)
    return made.getvalue()


def ids(n: int, seed: int = 0) -> list[str]:
    """Such as no row number can be told from."""
    drawn = np.random.default_rng(seed).choice(16**6, n, replace=False)
    return [f"{each:06x}x" for each in drawn]


def alternating(n: int, values: Sequence[Any] = (0, 1)) -> list[Any]:
    return [values[i * 7 // 3 % len(values)] for i in range(n)]


def molecules(raw: Folder) -> pd.DataFrame:
    named = ids(40)
    for each in named:
        raw.write(f"train/{each[0]}/{each[1]}/{each[2]}/{each}.png", image(f"{each}.png"))
    raw.csv("extra_approved_InChIs.csv", pd.DataFrame({"InChI": ["InChI=1S/CH4/h1H4"]}))
    strings = [f'InChI=1S/C{n}H,"{n}"' for n in range(40)]
    return raw.csv("train_labels.csv", pd.DataFrame({"image_id": named, "InChI": strings}))


def passages(raw: Folder) -> pd.DataFrame:
    n = 40
    return raw.csv(
        "train.csv",
        pd.DataFrame(
            {
                "id": ids(n),
                "context": [f"यह पहला वाक्य है, {i}\nநன்றி" for i in range(n)],
                "question": ["क्या?"] * n,
                "answer_text": [f"वाक्य {i}" for i in range(n)],
                "answer_start": range(n),
                "language": alternating(n, ("hindi", "tamil")),
            }
        ),
    )


def couplings(raw: Folder) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    names = [f"dsgdb9nsd_{n:06}" for n in rng.permutation(25)]
    pairs = [(name, i) for name in names for i in range(3)]
    owners = [name for name, _ in pairs]
    table = pd.DataFrame(
        {
            "id": range(len(pairs)),
            "molecule_name": owners,
            "atom_index_0": [i for _, i in pairs],
            "atom_index_1": 0,
            "type": alternating(len(pairs), ("1JHC", "2JHH", "3JHN")),
            "scalar_coupling_constant": rng.normal(size=len(pairs)).round(6),
        }
    )
    for side in (
        "structures",
        "dipole_moments",
        "magnetic_shielding_tensors",
        "mulliken_charges",
        "potential_energy",
        "scalar_coupling_contributions",
    ):
        raw.csv(f"{side}.csv", pd.DataFrame({"molecule_name": sorted(owners), "x": 0.5}))
    for name in names:
        raw.write(f"structures/{name}.xyz", f"1\n\nC 0 0 0 {name}\n")
    return raw.csv("train.csv", table)


def questions(raw: Folder) -> pd.DataFrame:
    n = 50
    table = pd.DataFrame(
        {
            "Id": range(1, n + 1),
            "Title": [f"how, {i}?" for i in range(n)],
            "Body": [f"<p>\n{i}</p>" for i in range(n)],
            "Tags": [f"c# tag{i % 5} null" if i % 3 else "php" for i in range(n)],
        }
    )
    raw.zip("Train.zip", {"Train.csv": table.to_csv(index=False).encode()})
    return table


def judgements(raw: Folder) -> pd.DataFrame:
    n, rng = 60, np.random.default_rng(2)
    columns = {each: rng.permutation(n) / n for each in QUEST}
    columns["question_type_spelling"] = np.zeros(n)
    columns["question_type_spelling"][17] = 0.5
    texts = {
        "qa_id": rng.permutation(n) + 100,
        "question_title": [f"title {i}" for i in range(n)],
        "question_body": "body",
        "question_user_name": "someone",
        "question_user_page": "https://example.org",
        "answer": "yes",
        "answer_user_name": "another",
        "answer_user_page": "https://example.org",
        "url": "https://example.org",
        "category": "LIFE_ARTS",
        "host": "example.org",
    }
    return raw.csv("train.csv", pd.DataFrame({**texts, **columns}))


def purchases(raw: Folder) -> pd.DataFrame:
    n, rng = 60, np.random.default_rng(3)
    customers = [f"{each}" * 4 for each in ids(12, 5)]
    articles = [f"0{each}" for each in range(108775015, 108775035)]
    table = pd.DataFrame(
        {
            "t_dat": np.sort(pd.date_range("2020-09-01", periods=20).astype(str).repeat(3)),
            "customer_id": rng.choice(customers[:10], n),
            "article_id": rng.choice(articles, n),
            "price": rng.random(n).round(4),
            "sales_channel_id": 2,
        }
    )
    raw.csv("articles.csv", pd.DataFrame({"article_id": articles, "prod_name": "vest"}))
    raw.csv("customers.csv", pd.DataFrame({"customer_id": customers, "age": 30}))
    raw.images([f"images/{each[:3]}/{each}.jpg" for each in articles])
    dozen = " ".join(articles[:12])
    raw.csv("sample_submission.csv", pd.DataFrame({"customer_id": customers, "prediction": dozen}))
    return raw.csv("transactions_train.csv", table)


def hotels(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {
            "image": [f"{each}.jpg" for each in ids(n)],
            "chain": alternating(n, (0, 4, 87)),
            "hotel_id": [36363 + i % 9 for i in range(n)],
            "timestamp": "2018-04-09 19:35:38",
        }
    )
    table.loc[5, "image"] = "ce27d36c9147cc19.jpg"
    raw.images([f"train_images/{c}/{i}" for c, i in zip(table.chain, table.image, strict=True)])
    raw.csv("train.csv", table)
    return table.drop(index=5).reset_index(drop=True)


def kidneys(raw: Folder) -> pd.DataFrame:
    scans = ids(15)
    table = pd.DataFrame({"id": scans, "encoding": [f"{i + 1} 3 {i + 20} 2" for i in range(15)]})
    raw.csv(
        "HuBMAP-20-dataset_information.csv",
        pd.DataFrame(
            {
                "image_file": [f"{each}.tiff" for each in [*reversed(scans), "other"]],
                "width_pixels": 10,
                "height_pixels": range(8, 24),
            }
        ),
    )
    for each in scans:
        raw.write(f"train/{each}.tiff", image(f"{each}.tiff"))
        raw.write(f"train/{each}.json", json.dumps([SECRET.decode(), each]))
        raw.write(f"train/{each}-anatomical-structure.json", json.dumps([each]))
    return raw.csv("train.csv", table)


def neutrinos(raw: Folder) -> pd.DataFrame:
    n, rng = 40, np.random.default_rng(4)
    table = pd.DataFrame(
        {
            "batch_id": np.arange(n) // 4 + 1,
            "event_id": rng.choice(10**9, n, replace=False),
            "first_pulse_index": np.arange(n) % 4 * 2,
            "last_pulse_index": np.arange(n) % 4 * 2 + 1,
            "azimuth": rng.random(n) * 6,
            "zenith": rng.random(n) * 3,
        }
    )
    for batch in range(1, 11):
        pulses = pd.DataFrame({"sensor_id": [batch, 2], "time": [5, 6], "charge": [0.5, 0.7]})
        raw.parquet(f"train/batch_{batch}.parquet", pulses)
    raw.csv("sensor_geometry.csv", pd.DataFrame({"sensor_id": [1, 2], "x": [0.0, 1.0]}))
    return raw.parquet("train_meta.parquet", table)


def artworks(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {"id": ids(n), "attribute_ids": [f"{i % 3} {i % 5 + 3}" for i in range(n)]}
    )
    raw.images([f"train/{each}.png" for each in table.id])
    raw.csv("labels.csv", pd.DataFrame({"attribute_id": range(9), "attribute_name": "x"}))
    return raw.csv("train.csv", table)


def forest(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame({"name": range(1, n + 1), "invasive": alternating(n)})
    raw.zip("train_labels.csv.zip", {"train_labels.csv": table.to_csv(index=False).encode()})
    raw.seven("train.7z", {f"train/{each}.jpg": image(f"{each}.jpg") for each in table.name})
    return table


def traps(raw: Folder) -> pd.DataFrame:
    n = 60
    named = ids(n)
    table = pd.DataFrame(
        {
            "category_id": alternating(n, (0, 19, 3)),
            "date_captured": "2011-05-13 23:43:18",
            "file_name": [f"{each}.jpg" for each in named],
            "frame_num": 1,
            "id": named,
            "location": [i * 5 % 20 for i in range(n)],
        }
    )
    raw.zip("train_images.zip", {each: image(each) for each in table.file_name})
    return raw.csv("train.csv", table)


def essays(raw: Folder) -> pd.DataFrame:
    n = 40
    texts = [f'So, "I" think\nthat {i}.' for i in range(n)]
    table = pd.DataFrame(
        {"essay_id": ids(n), "full_text": texts, "score": alternating(n, range(1, 7))}
    )
    return raw.csv("train.csv", table)


def battles(raw: Folder) -> pd.DataFrame:
    n = 40
    won = np.eye(3, dtype=int)[alternating(n, (0, 1, 2))]
    table = pd.DataFrame(
        {
            "id": np.random.default_rng(6).choice(10**9, n, replace=False),
            "model_a": "gpt",
            "model_b": "claude",
            "prompt": [json.dumps([f"say {i}"]) for i in range(n)],
            "response_a": '["a, \\"b\\""]',
            "response_b": '["b"]',
            **dict(zip(("winner_model_a", "winner_model_b", "winner_tie"), won.T, strict=True)),
        }
    )
    return raw.csv("train.csv", table)


def phrases(raw: Folder) -> pd.DataFrame:
    n = 50
    table = pd.DataFrame(
        {
            "PhraseId": range(1, n + 1),
            "SentenceId": [i // 5 for i in range(n)],
            "Phrase": [f"a film , {i}" for i in range(n)],
            "Sentiment": alternating(n, range(5)),
        }
    )
    text = table.to_csv(index=False, sep="\t").encode()
    raw.zip("train.tsv.zip", {"train.tsv": text})
    return table


def contacts(raw: Folder) -> pd.DataFrame:
    plays = [f"{58000 + i}_00{i:04}" for i in np.random.default_rng(7).permutation(20)]
    rows = list(product(plays, range(2), ("4", "G")))
    table = pd.DataFrame(
        {
            "contact_id": [f"{play}_{step}_3_{other}" for play, step, other in rows],
            "game_play": [play for play, _, _ in rows],
            "datetime": "2020-09-11T03:01:48.100Z",
            "step": [step for _, step, _ in rows],
            "nfl_player_id_1": 3,
            "nfl_player_id_2": [other for _, _, other in rows],
            "contact": alternating(len(rows)),
        }
    )
    for side in ("baseline_helmets", "player_tracking", "video_metadata"):
        raw.csv(f"train_{side}.csv", pd.DataFrame({"game_play": sorted(plays) * 2, "x": 1.25}))
    for play, view in product(plays, ("All29", "Endzone", "Sideline")):
        raw.write(f"train/{play}_{view}.mp4", f"film of {play} {view}")
    return raw.csv("train_labels.csv", table)


def rice(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {
            "image_id": [f"{100330 + i}.jpg" for i in range(n)],
            "label": alternating(n, ("blast", "normal", "tungro")),
            "variety": "ADT45",
            "age": 45,
        }
    )
    raw.images([f"train_images/{a}/{b}" for a, b in zip(table.label, table.image_id, strict=True)])
    return raw.csv("train.csv", table)


def pets(raw: Folder) -> pd.DataFrame:
    n = 40
    scores = np.random.default_rng(8).integers(1, 101, n)
    table = pd.DataFrame({"Id": ids(n), "Subject Focus": 0, "Eyes": 1, "Pawpularity": scores})
    raw.images([f"train/{each}.jpg" for each in table.Id])
    return raw.csv("train.csv", table)


def leaves(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {
            "image": [f"{each}.jpg" for each in ids(n)],
            "labels": alternating(n, ("healthy", "scab frog_eye_leaf_spot", "rust")),
        }
    )
    raw.images([f"train_images/{each}" for each in table.image])
    return raw.csv("train.csv", table)


def enzymes(raw: Folder) -> pd.DataFrame:
    n = 60
    classes = {f"EC{i}": alternating(n) for i in range(1, 7)}
    table = pd.DataFrame({"id": range(n), "BertzCT": 323.390782349832, **classes})
    return raw.csv("train.csv", table)


def volcano(raw: Folder) -> pd.DataFrame:
    n, rng = 40, np.random.default_rng(9)
    table = pd.DataFrame(
        {
            "segment_id": rng.choice(10**9, n, replace=False),
            "time_to_eruption": rng.choice(10**7, n),
        }
    )
    for each in table.segment_id:
        raw.write(f"train/{each}.csv", f"sensor_1,sensor_2\n{each},\n")
    return raw.csv("train.csv", table)


def mammograms(raw: Folder) -> pd.DataFrame:
    patients = np.random.default_rng(10).choice(60000, 20, replace=False)
    rows = list(product(patients, "LR", ("CC", "MLO")))
    n = len(rows)
    table = pd.DataFrame(
        {
            "site_id": 2,
            "patient_id": [p for p, _, _ in rows],
            "image_id": np.arange(n)[::-1] + 10**6,
            "laterality": [side for _, side, _ in rows],
            "view": [view for _, _, view in rows],
            "age": 61.0,
            "cancer": [int((i // 2) % 3 == 0) for i in range(n)],
            "biopsy": 0,
            "invasive": 0,
            "BIRADS": "",
            "implant": 0,
            "density": "B",
            "machine_id": 29,
            "difficult_negative_case": False,
        }
    )
    raw.images(
        [f"train_images/{p}/{i}.dcm" for p, i in zip(table.patient_id, table.image_id, strict=True)]
    )
    return raw.csv("train.csv", table)


def tumours(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {"BraTS21ID": [f"{i * 3:05}" for i in range(n)], "MGMT_value": alternating(n)}
    )
    for each, series in product(table.BraTS21ID, ("FLAIR", "T1w")):
        raw.write(f"train/{each}/{series}/Image-1.dcm", f"{each} {series}")
    return raw.csv("train_labels.csv", table)


def signals(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame({"id": ids(n), "target": alternating(n)})
    for each in table.id:
        made = io.BytesIO()
        np.save(made, np.full((6, 2), int(each[:6], 16), dtype=np.int32))
        raw.write(f"train/{each[0]}/{each}.npy", made.getvalue())
    raw.write("old_leaky_data/train_labels_old.csv", "id,target\nold,1\n")
    return raw.csv("train_labels.csv", table)


def passengers(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {
            "PassengerId": [f"{i // 2:04}_{i % 2 + 1:02}" for i in range(n)],
            "HomePlanet": alternating(n, ("Earth", "", "Mars")),
            "Age": alternating(n, ("39.0", "", "24.0")),
            "Transported": alternating(n, (True, False)),
        }
    )
    return raw.csv("train.csv", table)


def icebergs(raw: Folder) -> pd.DataFrame:
    n = 40
    records = [
        {
            "id": each,
            "band_1": [-27.878360999999998, 2.0],
            "band_2": [1e-05, i],
            "inc_angle": 43.9239 if i % 4 else "na",
            "is_iceberg": i % 2,
        }
        for i, each in enumerate(ids(n))
    ]
    packed = json.dumps(records).encode()
    raw.seven("train.json.7z", {"data/processed/train.json": packed})
    raw.seven("test.json.7z", {"data/processed/test.json": b"[]"})
    return pd.DataFrame(records)


def tweets(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {
            "textID": ids(n),
            "text": [f' so "good", {i}' for i in range(n)],
            "selected_text": [f'"good", {i}' for i in range(n)],
            "sentiment": alternating(n, ("positive", "neutral", "negative")),
        }
    )
    return raw.csv("train.csv", table)


def patents(raw: Folder) -> pd.DataFrame:
    n = 40
    table = pd.DataFrame(
        {
            "id": ids(n),
            "anchor": "abatement",
            "target": [f"act {i}" for i in range(n)],
            "context": "A47",
            "score": alternating(n, (0.0, 0.25, 0.5, 0.75, 1.0)),
        }
    )
    return raw.csv("train.csv", table)


def breaths(raw: Folder) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    rows = list(product(rng.permutation(20) + 1, range(3)))
    n = len(rows)
    table = pd.DataFrame(
        {
            "id": range(1, n + 1),
            "breath_id": [breath for breath, _ in rows],
            "R": 20,
            "C": 50,
            "time_step": [step * 0.033652 for _, step in rows],
            "u_in": rng.random(n) * 100,
            "u_out": [int(step == 2) for _, step in rows],
            "pressure": rng.random(n) * 30,
        }
    )
    return raw.csv("train.csv", table)


class Case(NamedTuple):
    """What the facts say of a competition, apart from what its recipe does."""

    build: Callable[[Folder], pd.DataFrame]
    ids: str
    """The raw table's column."""
    secret: str
    """Columns that no table of the test may have."""
    test: float | int = 0.1
    """The share, or the number, that `train_test_split` is told."""
    seed: int = 0
    train: float | int | None = None
    group: str = ""
    drawn: bool = False
    """Whether rows come group by group as drawn from the sorted groups."""
    moved: tuple[str, str, str] = ("", "", "")
    """Where a row's file lies: among the raw ones, for training, and for the test."""
    best: float = 1.0
    best_upstream: float | None = None
    """Where MLE-bench does not recognise the answers."""
    answers_ids: str = ""
    """The answers' column, where it is called otherwise."""
    mute: bool = False
    """Whether the sample cannot be scored, though MLE-bench scores it NaN."""


CASES: dict[str, Case] = {
    "bms-molecular-translation": Case(
        molecules,
        "image_id",
        "InChI",
        0.2,
        moved=(
            "train/{i[0]}/{i[1]}/{i[2]}/{i}.png",
            "train/{i[0]}/{i[1]}/{i[2]}/{i}.png",
            "test/{i[0]}/{i[1]}/{i[2]}/{i}.png",
        ),
        best=0.0,
    ),
    "chaii-hindi-and-tamil-question-answering": Case(passages, "id", "answer_text answer_start"),
    "champs-scalar-coupling": Case(
        couplings,
        "id",
        "scalar_coupling_constant",
        group="molecule_name",
        drawn=True,
        best=-np.inf,
    ),
    "facebook-recruiting-iii-keyword-extraction": Case(questions, "Id", "Tags"),
    "google-quest-challenge": Case(judgements, "qa_id", " ".join(QUEST)),
    "h-and-m-personalized-fashion-recommendations": Case(
        purchases, "customer_id", "", best_upstream=0.0
    ),
    "hotel-id-2021-fgvc8": Case(
        hotels,
        "image",
        "hotel_id chain",
        moved=("train_images/{r[chain]}/{i}", "train_images/{r[chain]}/{i}", "test_images/{i}"),
    ),
    "hubmap-kidney-segmentation": Case(
        kidneys,
        "id",
        "encoding",
        3,
        train=12,
        moved=("train/{i}.tiff", "train/{i}.tiff", "test/{i}.tiff"),
    ),
    "icecube-neutrinos-in-deep-ice": Case(
        neutrinos,
        "event_id",
        "azimuth zenith",
        group="batch_id",
        moved=(
            "train/batch_{r[batch_id]}.parquet",
            "train/batch_{r[batch_id]}.parquet",
            "test/batch_{r[batch_id]}.parquet",
        ),
        best=0.0,
    ),
    "imet-2020-fgvc7": Case(
        artworks,
        "id",
        "attribute_ids",
        0.15,
        moved=("train/{i}.png", "train/{i}.png", "test/{i}.png"),
    ),
    "invasive-species-monitoring": Case(
        forest, "name", "invasive", 0.2, moved=("", "train/{i}.jpg", "test/{i}.jpg")
    ),
    "iwildcam-2019-fgvc6": Case(
        traps,
        "id",
        "category_id Category",
        seed=8,
        group="location",
        moved=("", "train_images/{i}.jpg", "test_images/{i}.jpg"),
        answers_ids="Id",
    ),
    "learning-agency-lab-automated-essay-scoring-2": Case(essays, "essay_id", "score"),
    "lmsys-chatbot-arena": Case(
        battles,
        "id",
        "winner_model_a winner_model_b winner_tie model_a model_b",
        best=0.0,
    ),
    "movie-review-sentiment-analysis-kernels-only": Case(phrases, "PhraseId", "Sentiment", 0.3),
    "nfl-player-contact-detection": Case(
        contacts,
        "contact_id",
        "contact",
        group="game_play",
        moved=(
            "train/{r[game_play]}_Endzone.mp4",
            "train/{r[game_play]}_Endzone.mp4",
            "test/{r[game_play]}_Endzone.mp4",
        ),
    ),
    "paddy-disease-classification": Case(
        rice,
        "image_id",
        "label",
        0.25,
        moved=("train_images/{r[label]}/{i}", "train_images/{r[label]}/{i}", "test_images/{i}"),
    ),
    "petfinder-pawpularity-score": Case(
        pets,
        "Id",
        "Pawpularity",
        moved=("train/{i}.jpg", "train/{i}.jpg", "test/{i}.jpg"),
        best=0.0,
    ),
    "plant-pathology-2021-fgvc8": Case(
        leaves,
        "image",
        "labels",
        0.2,
        moved=("train_images/{i}", "train_images/{i}", "test_images/{i}"),
    ),
    "playground-series-s3e18": Case(enzymes, "id", "EC1 EC2 EC3 EC4 EC5 EC6"),
    "predict-volcanic-eruptions-ingv-oe": Case(
        volcano,
        "segment_id",
        "time_to_eruption",
        moved=("train/{i}.csv", "train/{i}.csv", "test/{i}.csv"),
        best=0.0,
    ),
    "rsna-breast-cancer-detection": Case(
        mammograms,
        "image_id",
        "cancer biopsy invasive BIRADS density difficult_negative_case",
        seed=42,
        group="patient_id",
        moved=(
            "train_images/{r[patient_id]}/{i}.dcm",
            "train_images/{r[patient_id]}/{i}.dcm",
            "test_images/{r[patient_id]}/{i}.dcm",
        ),
    ),
    "rsna-miccai-brain-tumor-radiogenomic-classification": Case(
        tumours,
        "BraTS21ID",
        "MGMT_value",
        moved=(
            "train/{i}/FLAIR/Image-1.dcm",
            "train/{i}/FLAIR/Image-1.dcm",
            "test/{i}/FLAIR/Image-1.dcm",
        ),
    ),
    "seti-breakthrough-listen": Case(
        signals,
        "id",
        "target",
        moved=("train/{i[0]}/{i}.npy", "train/{i[0]}/{i}.npy", "test/{i[0]}/{i}.npy"),
    ),
    "spaceship-titanic": Case(passengers, "PassengerId", "Transported"),
    "statoil-iceberg-classifier-challenge": Case(icebergs, "id", "is_iceberg", 0.2, best=0.0),
    "tweet-sentiment-extraction": Case(tweets, "textID", "selected_text"),
    "us-patent-phrase-to-phrase-matching": Case(patents, "id", "score", mute=True),
    "ventilator-pressure-prediction": Case(
        breaths, "id", "pressure", group="breath_id", drawn=True, best=0.0
    ),
}
