"""Raw files in the small of MLE-bench's Lite split, and what must become of them.

What that is, is worked out here a second time, with pandas and scikit-learn.
"""

import io
import json
import struct
import tomllib
import wave
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
from PIL import Image

from proctor.schemas.competition import Competition
from proctor.tasks.competitions.definition import read_definition

KAGGLE = Path(import_module("proctor.tasks.competitions").__file__ or "").parent / "kaggle"
SPLIT: Any = import_module("sklearn.model_selection").train_test_split
Columns = dict[str, list[str]]


@dataclass
class Raw:
    """A raw folder that is being filled."""

    place: Path

    def put(self, path: str, data: bytes) -> bytes:
        """Write a file."""
        (self.place / path).parent.mkdir(parents=True, exist_ok=True)
        (self.place / path).write_bytes(data)
        return data

    def zip(self, path: str, members: Mapping[str, bytes]) -> None:
        """Write an archive."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        self.put(path, packed.getvalue())

    def table(self, path: str, columns: Mapping[str, Sequence[object]]) -> Columns:
        """Write a table, packed if its path says so; returns its cells."""
        cells = {name: [str(each) for each in said] for name, said in columns.items()}
        data = pl.DataFrame(cells).write_csv().encode()
        if path.endswith(".zip"):
            self.zip(path, {path.removesuffix(".zip").rpartition("/")[2]: data})
        else:
            self.put(path, data)
        return cells


@dataclass
class Expected:
    """What must become of them."""

    ids: list[str]
    """Of the answers, in their order."""
    truth: Columns
    tables: dict[str, Columns] = field(default_factory=dict[str, Columns])
    """All tables that agents get, but for the sample submission."""
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """All other files, but for the description."""
    tests: tuple[str, ...] = ("test.csv",)
    """Which of the tables hold the test's rows."""
    sample: str = "sample_submission.csv"
    said: float | tuple[float, ...] | list[str] = 0
    """The sample's cells: throughout, by target, or by row."""
    mark: str = ""
    """A column of the tables that tells rows apart; the ids if empty."""


def drawn(count: int, **how: Any) -> tuple[list[int], list[int]]:
    """The rows of both parts, as scikit-learn draws them."""
    train, test = SPLIT(list(range(count)), random_state=0, **how)
    return train, test


def rows(columns: Mapping[str, Sequence[str]], taken: Sequence[int]) -> Columns:
    """Some rows of a table, in that order."""
    return {name: [cells[n] for n in taken] for name, cells in columns.items()}


def without(columns: Columns, *names: str) -> Columns:
    """A table less some columns."""
    return {name: cells for name, cells in columns.items() if name not in names}


def varied(count: int, test: Sequence[int], every: int = 2, shift: int = 0) -> list[int]:
    """Labels of which both parts have both."""
    labels = [int(n % 3 == 0) for n in range(count)]
    for place, row in enumerate(test):
        labels[row] = int(place % every == shift % every)
    return labels


def picture(number: int, kind: str) -> bytes:
    """A real picture, unlike all others."""
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (number % 256, number // 256, 77)).save(
        file, kind, comment=str(number)
    )
    return file.getvalue()


def competition(name: str) -> Competition:
    """What grading knows of it."""
    return read_definition(KAGGLE / name).competition


# Builders, one for each competition


def cactus(raw: Raw) -> Expected:
    train, test = drawn(40, test_size=0.19)
    ids = [f"{n:032x}.jpg" for n in range(40)]
    photos = {name: picture(n, "JPEG") for n, name in enumerate(ids)}
    table = raw.table("train.csv", {"id": ids, "has_cactus": varied(40, test)})
    raw.zip("train.zip", {f"train/{name}": data for name, data in photos.items()})
    raw.zip("test.zip", {"test/other.jpg": b"not to be used"})
    held = rows(table, test)
    files = {
        f"{part}/{ids[n]}": photos[ids[n]] for part, taken in (("train", train), ("test", test))
        for n in taken
    }  # fmt: skip
    return Expected(
        held["id"], without(held, "id"), {"train.csv": rows(table, train)}, files, (), said=0.5
    )


def aptos(raw: Raw) -> Expected:
    train, test = drawn(50, test_size=0.1)
    grades = [n % 5 for n in range(50)]
    for place, row in enumerate(test):
        grades[row] = place
    ids = [f"{n:012x}" for n in range(50)]
    table = raw.table("train.csv", {"id_code": ids, "diagnosis": grades})
    raw.table("test.csv", {"id_code": ["other"]})
    files: dict[str, bytes] = {}
    for part, taken in (("train_images", train), ("test_images", test)):
        for n in taken:
            files[f"{part}/{ids[n]}.png"] = raw.put(f"train_images/{ids[n]}.png", picture(n, "PNG"))
    raw.put("test_images/other.png", picture(99, "PNG"))
    held = rows(table, test)
    tables = {"train.csv": rows(table, train), "test.csv": {"id_code": held["id_code"]}}
    return Expected(held["id_code"], without(held, "id_code"), tables, files)


def dirty_pages(raw: Raw) -> Expected:
    names = sorted(f"{n}.png" for n in range(2, 22))
    train, test = SPLIT(names, test_size=0.2, random_state=0)
    pages: dict[str, bytes] = {}
    greys: dict[str, list[list[int]]] = {}
    for name in names:
        n = int(name.removesuffix(".png"))
        greys[name] = [[(n * 31 + 7 * row + 100 * col) % 256 for col in range(3)] for row in (0, 1)]
        page = Image.new("L", (3, 2))
        page.putdata([value for row in greys[name] for value in row])
        clean = io.BytesIO()
        page.save(clean, "PNG")
        pages[f"train/{name}"], pages[f"train_cleaned/{name}"] = picture(n, "PNG"), clean.getvalue()
    for folder in ("train", "train_cleaned"):
        packed = {path: data for path, data in pages.items() if path.startswith(f"{folder}/")}
        raw.zip(f"{folder}.zip", packed)
    files = {f"{each}/{name}": pages[f"{each}/{name}"] for each in ("train", "train_cleaned")
             for name in train}  # fmt: skip
    files |= {f"test/{name}": pages[f"train/{name}"] for name in test}
    pixels = [(name.removesuffix(".png"), row, col) for name in test for row in (1, 2)
              for col in (1, 2, 3)]  # fmt: skip
    return Expected(
        [f"{page}_{row}_{col}" for page, row, col in pixels],
        {"value": [str(greys[f"{p}.png"][row - 1][col - 1] / 255) for p, row, col in pixels]},
        files=files, tests=(), sample="sampleSubmission.csv", said=1,
    )  # fmt: skip


def insults(raw: Raw) -> Expected:
    def comments(first: int, count: int) -> dict[str, list[Any]]:
        numbers = range(first, first + count)
        return {
            "Insult": [n % 2 for n in numbers],
            "Date": ["" if n % 3 else f"201206{n % 28 + 1:02}000000Z" for n in numbers],
            "Comment": [f'"you, \\xa0 {n}"\\n' for n in numbers],
        }

    table = raw.table("train.csv", comments(0, 20))
    test = comments(20, 12)
    test["Comment"][7] = test["Comment"][3]  # the same words, once more
    held = raw.table("test_with_solutions.csv", {**test, "Usage": ["PrivateTest"] * 12})
    return Expected(
        held["Comment"], {"Insult": held["Insult"]},
        {"train.csv": table, "test.csv": {each: held[each] for each in ("Date", "Comment")}},
        sample="sample_submission_null.csv",
    )  # fmt: skip


def dog_breeds(raw: Raw) -> Expected:
    breeds = competition("dog-breed-identification").form.targets
    train, test = drawn(60, test_size=0.1)
    ids = [f"{n:032x}" for n in range(60)]
    table = raw.table("labels.csv", {"id": ids, "breed": [breeds[n % 120] for n in range(60)]})
    files: dict[str, bytes] = {}
    for part, taken in (("train", train), ("test", test)):
        for n in taken:
            files[f"{part}/{ids[n]}.jpg"] = raw.put(f"train/{ids[n]}.jpg", picture(n, "JPEG"))
    held = rows(table, test)
    return Expected(
        held["id"], without(held, "id"), {"labels.csv": rows(table, train)}, files, (), said=1 / 120
    )


def dogs_and_cats(raw: Raw) -> Expected:
    photos = {f"train/{kind}.{n}.jpg": picture(n + 50 * (kind == "dog"), "JPEG")
              for n in range(25) for kind in ("cat", "dog")}  # fmt: skip
    raw.zip("train.zip", photos)
    raw.zip("test.zip", {"test/1.jpg": b"not to be used"})
    train, test = SPLIT(sorted(photos), test_size=0.1, random_state=0)
    files: dict[str, bytes] = {}
    for kind in ("cat", "dog"):
        of_kind = [path for path in train if f"/{kind}." in path]
        files |= {f"train/{kind}.{n}.jpg": photos[path] for n, path in enumerate(of_kind)}
    files |= {f"test/{n}.jpg": photos[path] for n, path in enumerate(test, start=1)}
    labels = [str(int("dog" in path)) for path in test]
    ids = [str(n) for n in range(1, len(test) + 1)]
    return Expected(ids, {"label": labels}, files=files, tests=(), said=0.5)


def tumours(raw: Raw) -> Expected:
    for n in range(15):
        raw.put(f"test/{n:040x}.tif", b"not to be used")
    train, test = drawn(45, test_size=15 / (45 + 15))
    train, test = sorted(train), sorted(test)
    ids = [f"{n * 7919 % 997:040x}" for n in range(45)]
    table = raw.table("train_labels.csv", {"id": ids, "label": varied(45, test)})
    files: dict[str, bytes] = {}
    for part, taken in (("train", train), ("test", test)):
        for n in taken:
            files[f"{part}/{ids[n]}.tif"] = raw.put(f"train/{ids[n]}.tif", picture(n, "TIFF"))
    held = rows(table, test)
    tables = {"train_labels.csv": rows(table, train)}
    return Expected(held["id"], without(held, "id"), tables, files, ())


def toxic_comments(raw: Raw) -> Expected:
    kinds = competition("jigsaw-toxic-comment-classification-challenge").form.targets
    ids = [f"{n:016x}" for n in range(40)]
    words = [f'comment, "{n}"\nwith a line more' for n in range(40)]

    def labels(taken: range, hidden: int = 10**6) -> dict[str, list[int]]:
        return {kind: [-1 if n % hidden == 5 else int(n % 6 == place) for n in taken]
                for place, kind in enumerate(kinds)}  # fmt: skip

    table = raw.table(
        "train.csv.zip", {"id": ids[:20], "comment_text": words[:20], **labels(range(20))}
    )
    test = raw.table("test.csv.zip", {"id": ids[20:], "comment_text": words[20:]})
    truth = raw.table("test_labels.csv.zip", {"id": ids[20:], **labels(range(20, 40), hidden=10)})
    raw.table("sample_submission.csv.zip", {"id": ids[20:]})
    tables = {"train.csv": table, "test.csv": test}
    return Expected(test["id"], without(truth, "id"), tables, said=0.5)


def leaves(raw: Raw) -> Expected:
    species = competition("leaf-classification").form.targets
    train, test = drawn(60, test_size=0.1)
    ids = [2 * n + 1 for n in range(60)]
    table = raw.table(
        "train.csv.zip",
        {
            "id": ids,
            "species": [species[n] for n in range(60)],
            "margin1": [f"{n / 512:.12f}" for n in range(60)],
            "shape1": [f"{n * 1e-5:.6g}" for n in range(60)],
        },
    )
    images = {f"images/{n}.jpg": picture(n, "JPEG") for n in [*ids, 500, 501]}
    raw.zip("images.zip", images)
    held = rows(table, test)
    tables = {"train.csv": rows(table, train), "test.csv": without(held, "species")}
    return Expected(held["id"], {"species": held["species"]}, tables, images, said=1 / 99)


def birds(raw: Raw) -> Expected:
    root, numbers = "mlsp_contest_dataset", range(45)
    known = [n for n in numbers if n % 3 < 2]
    stems = [f"PC{n % 7}_200905{n % 28:02}_050000_{n:04}" for n in numbers]
    heard = {n: [s for s in range(19) if (n * 5 + s) % 11 == 0] for n in numbers}
    heard[known[2]] = []
    renumbered = {n: place for place, n in enumerate(known)}
    test = sorted(pd.DataFrame({"rec_id": known}).sample(frac=0.2, random_state=0).index)

    def lines(head: str, said: Mapping[int, str]) -> bytes:
        body = (f"{n},{text}" for n, text in said.items())
        return "".join(f"{line}\n" for line in (head, *body)).encode("latin-1")

    def text(path: str, head: str, said: Mapping[int, str]) -> bytes:
        members[f"{root}/{path}"] = lines(head, said)
        return lines(head, {renumbered[n]: cells for n, cells in said.items() if n in renumbered})

    def sound(number: int) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(16000)
            writer.writeframes(struct.pack("<4h", number, 0, -number, 1))
        return file.getvalue()

    members = {f"{root}/essential_data/src_wavs/{stems[n]}.wav": sound(n) for n in numbers}
    spectrograms = {stem: f"{stem}'s".encode() for stem in stems}
    members |= {f"{root}/supplemental_data/spectrograms/{stem}.bmp": data
                for stem, data in spectrograms.items()}  # fmt: skip
    same = {"essential_data/species_list.txt": b"class_id,code,species\n0,BRCR,Brown Creeper\n",
            "supplemental_data/segment_mosaic.bmp": b"a picture",
            "supplemental_data/readme.txt": "d\u00e9j\u00e0 vu\n".encode("latin-1")}  # fmt: skip
    members |= {f"{root}/{path}": data for path, data in same.items()}
    public = {
        "essential_data/CVfolds_2.txt": lines(
            "rec_id,fold", {n: str(int(n in test)) for n in range(len(known))}
        ),
        "essential_data/rec_id2filename.txt": text(
            "essential_data/rec_id2filename.txt", "rec_id,filename", dict(enumerate(stems))
        ),
        "supplemental_data/histogram_of_segments.txt": text(
            "supplemental_data/histogram_of_segments.txt",
            "rec_id,[histogram of segment features]", {n: f"{n / 7},{n},0" for n in numbers},
        ),
        "essential_data/rec_labels_test_hidden.txt": lines(
            "rec_id,[labels]",
            {place: "?" if place in test else ",".join(map(str, heard[n]))
             for n, place in renumbered.items()},
        ),
    }  # fmt: skip
    members[f"{root}/essential_data/CVfolds_2.txt"] = lines(
        "rec_id,fold", {n: str(int(n not in known)) for n in numbers}
    )
    members[f"{root}/essential_data/rec_labels_test_hidden.txt"] = lines(
        "rec_id,[labels]",
        {n: ",".join(map(str, heard[n])) if n in known else "?" for n in numbers},
    )
    raw.zip(f"{root}.zip", members)
    files = {**same, **public}
    for n in known:
        wav, bitmap = f"essential_data/src_wavs/{stems[n]}.wav", f"spectrograms/{stems[n]}.bmp"
        files[wav] = members[f"{root}/{wav}"]
        files[f"supplemental_data/{bitmap}"] = spectrograms[stems[n]]
    pairs = [(place, s) for place in test for s in range(19)]
    truth = [str(int(s in heard[known[place]])) for place, s in pairs]
    return Expected([str(100 * place + s) for place, s in pairs], {"Probability": truth},
                    files=files, tests=())  # fmt: skip


def taxi(raw: Raw) -> Expected:
    count = 10_100
    train, test = drawn(count, test_size=9914)
    table = raw.table(
        "train.csv",
        {
            "key": [f"2009-06-15 17:26:21.{n:07}" for n in range(count)],
            "fare_amount": [f"{n % 90}.{n % 10}" for n in range(count)],
            "pickup_longitude": [f"-73.{n:05}0" for n in range(count)],
            "passenger_count": [n % 6 for n in range(count)],
        },
    )
    coupons = raw.put("GCP-Coupons-Instructions.rtf", b"{\\rtf1}")
    held = rows(table, test)
    tables = {"labels.csv": rows(table, train), "test.csv": without(held, "fare_amount")}
    files = {"GCP-Coupons-Instructions.rtf": coupons}
    truth = {"fare_amount": held["fare_amount"]}
    return Expected(held["key"], truth, tables, files, said=11.35)


def conductors(raw: Raw) -> Expected:
    train, test = drawn(40, test_size=0.1)
    table = raw.table(
        "train.csv.zip",
        {
            "id": range(1, 41),
            "lattice_vector_1_ang": [f"{9 + n / 7:.4f}" for n in range(40)],
            "formation_energy_ev_natom": [f"{n / 1000:.4f}" for n in range(40)],
            "bandgap_energy_ev": [f"{n / 13:.4f}" for n in range(40)],
        },
    )
    cells = {n: f"#{n}\natom 0 0 {n} Ga\n".encode() for n in range(1, 41)}
    raw.zip("train.zip", {f"train/{n}/geometry.xyz": data for n, data in cells.items()})
    raw.table("test.csv.zip", {"id": [1]})
    raw.zip("test.zip", {"test/1/geometry.xyz": b"not to be used"})
    parts = {"train": rows(table, train), "test": rows(table, test)}
    files: dict[str, bytes] = {}
    for part, columns in parts.items():
        for number, old in enumerate(columns["id"], start=1):
            files[f"{part}/{number}/geometry.xyz"] = cells[int(old)]
        columns["id"] = [str(number) for number in range(1, len(columns["id"]) + 1)]
    targets = ("formation_energy_ev_natom", "bandgap_energy_ev")
    tables = {"train.csv": parts["train"], "test.csv": without(parts["test"], *targets)}
    truth = {each: parts["test"][each] for each in targets}
    return Expected(parts["test"]["id"], truth, tables, files, said=(0.1779, 1.8892),
                    mark="lattice_vector_1_ang")  # fmt: skip


def apple_leaves(raw: Raw) -> Expected:
    states = ("healthy", "multiple_diseases", "rust", "scab")
    train, test = drawn(50, test_size=0.1)
    state = [n % 4 for n in range(50)]
    for place, row in enumerate(test):
        state[row] = place % 4
    labels = {each: [int(state[n] == at) for n in range(50)] for at, each in enumerate(states)}
    table = raw.table("train.csv", {"image_id": [f"Train_{n}" for n in range(50)], **labels})
    raw.put("images/Test_0.jpg", b"not to be used")
    for n in range(50):
        raw.put(f"images/Train_{n}.jpg", picture(n, "JPEG"))
    files = {f"images/Train_{place}.jpg": picture(n, "JPEG") for place, n in enumerate(train)}
    files |= {f"images/Test_{place}.jpg": picture(n, "JPEG") for place, n in enumerate(test)}
    held = rows(table, test)
    ids = [f"Test_{n}" for n in range(len(test))]
    new = [f"Train_{n}" for n in range(len(train))]
    tables = {"train.csv": {**rows(table, train), "image_id": new}, "test.csv": {"image_id": ids}}
    return Expected(ids, without(held, "image_id"), tables, files, said=0.25)


def pizzas(raw: Raw) -> Expected:
    count, others = 40, 16
    file = tomllib.loads((KAGGLE / "random-acts-of-pizza" / "competition.toml").read_text())
    at_request = file["recipe"]["tables"]["test.json"]["columns"]
    train, test = drawn(count, test_size=others / (count + others))
    labels = varied(count, test)

    def request(n: int) -> dict[str, Any]:
        fields: dict[str, Any] = dict.fromkeys(at_request, n / 7)
        fields |= {
            "request_id": f"t3_{n:05x}",
            "request_title": f"[Request] \u00e9, {n}",
            "requester_subreddits_at_request": ["AskReddit", f"r{n}"],
        }
        return {"giver_username_if_known": "N/A" if n % 3 else "giver", **fields}

    later = [
        {**request(n), "post_was_edited": False, "requester_received_pizza": bool(labels[n])}
        for n in range(count)
    ]
    raw.put("train.json", json.dumps(later, indent=4).encode())
    raw.put("test.json", json.dumps([request(n) for n in range(count, count + others)]).encode())
    leak = "giver_username_if_known"

    def shown(taken: list[int], names: Sequence[str]) -> Columns:
        return {name: [json.dumps(later[n][name]) for n in taken] for name in names}

    tables = {
        "train.json": shown(train, [name for name in later[0] if name != leak]),
        "test.json": shown(test, at_request),
    }
    return Expected(
        [f"t3_{n:05x}" for n in test],
        {"requester_received_pizza": [str(labels[n]) for n in test]},
        tables, tests=("test.json",), sample="sampleSubmission.csv",
    )  # fmt: skip


def catheters(raw: Raw) -> Expected:
    notes = competition("ranzcr-clip-catheter-line-classification").form.targets
    train, test = drawn(100, test_size=0.1)
    ids = [f"1.2.826.0.1.3680043.8.498.{n:038}" for n in range(100)]
    columns: dict[str, list[Any]] = {"StudyInstanceUID": ids}
    for place, note in enumerate(notes):
        columns[note] = varied(100, test, len(test), place)
    columns["CVC - Normal"], columns["Swan Ganz Catheter Present"] = [1] * 100, [0] * 100
    columns["PatientID"] = [f"p{n // 2}" for n in range(100)]
    table = raw.table("train.csv", columns)
    drawings = raw.table(
        "train_annotations.csv",
        {
            "StudyInstanceUID": [ids[n // 2] for n in range(120)],
            "label": ["CVC - Normal"] * 120,
            "data": [f"[[{n}, 1], [2, 3]]" for n in range(120)],
        },
    )
    of_training = set(rows(table, train)["StudyInstanceUID"])
    kept = [n for n in range(120) if drawings["StudyInstanceUID"][n] in of_training]
    files: dict[str, bytes] = {}
    for part, taken in (("train", train), ("test", test)):
        for n in taken:
            files[f"{part}/{ids[n]}.jpg"] = raw.put(f"train/{ids[n]}.jpg", picture(n, "JPEG"))
    held = rows(table, test)
    tables = {"train.csv": rows(table, train), "train_annotations.csv": rows(drawings, kept)}
    truth = {note: held[note] for note in notes}
    return Expected(held["StudyInstanceUID"], truth, tables, files, ())


def tf_records(names: Sequence[str], target: int = 1) -> bytes:
    """TFRecords as TensorFlow writes them, less the checksums."""

    def counted(number: int, data: bytes) -> bytes:
        size, length = len(data), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    def entry(name: bytes, value: bytes) -> bytes:
        return counted(1, counted(1, name) + counted(2, value))

    def record(name: str) -> bytes:
        features = (
            entry(b"image", counted(1, counted(1, bytes(300))))
            + entry(b"target", counted(3, counted(1, bytes([target]))))
            + entry(b"age", counted(2, counted(1, struct.pack("<f", 45.0))))
            + entry(b"image_name", counted(1, counted(1, name.encode())))
        )
        data = counted(1, features)
        return struct.pack("<QI", len(data), 0) + data + bytes(4)

    return b"".join(map(record, names))


def melanomas(raw: Raw) -> Expected:
    count = 32
    ids = [f"ISIC_{n * 7919 % 10**7:07}" for n in range(count)]
    table = raw.table(
        "train.csv",
        {
            "image_name": ids,
            "patient_id": [f"IP_{n // 3}" for n in range(count)],
            "sex": ["female", "male"] * (count // 2),
            "age_approx": [40.0] * count,
            "anatom_site_general_challenge": ["torso", ""] * (count // 2),
            "diagnosis": ["unknown"] * count,
            "benign_malignant": ["benign"] * count,
            "target": [int(n % 5 == 1) for n in range(count)],
        },
    )
    packed = {
        f"tfrecords/train{at:02}-{2071 if at < 15 else 2061}.tfrec": ids[at::16] for at in range(16)
    }
    of_test = {*ids[0::16], *ids[6::16]}
    files: dict[str, bytes] = {}
    kept = 0
    for at, (path, names) in enumerate(packed.items()):
        data = raw.put(path, tf_records(names))
        if at not in (0, 6):
            files[f"tfrecords/train{kept:02}-{path.rpartition('-')[2]}"] = data
            kept += 1
    raw.put("tfrecords/test00-687.tfrec", b"not to be used")
    for n, name in enumerate(ids):
        part = "test" if name in of_test else "train"
        files[f"{part}/{name}.dcm"] = raw.put(f"train/{name}.dcm", f"DICM{n}".encode())
        files[f"jpeg/{part}/{name}.jpg"] = raw.put(f"jpeg/train/{name}.jpg", picture(n, "JPEG"))
    train = [n for n in range(count) if ids[n] not in of_test]
    held = rows(table, [n for n in range(count) if ids[n] in of_test])
    tables = {
        "train.csv": rows(table, train),
        "test.csv": without(held, "diagnosis", "benign_malignant", "target"),
    }
    return Expected(held["image_name"], {"target": held["target"]}, tables, files)


def authors(raw: Raw) -> Expected:
    train, test = drawn(60, test_size=0.1)
    data = pl.DataFrame(
        {
            "id": [f"id{n:05}" for n in range(60)],
            "text": [f'"A, {n}," she said.' for n in range(60)],
            "author": [("EAP", "HPL", "MWS")[n % 3] for n in range(60)],
        }
    )
    raw.zip("train.zip", {"train.csv": data.write_csv(quote_style="non_numeric").encode()})
    table: Columns = data.to_dict(as_series=False)
    held = rows(table, test)
    tables = {"train.csv": rows(table, train), "test.csv": without(held, "author")}
    said = (0.403493538995863, 0.287808366106543, 0.308698094897594)
    return Expected(held["id"], {"author": held["author"]}, tables, said=said)


def forests(raw: Raw) -> Expected:
    train, test = drawn(60, test_size=0.1)
    columns = {
        "Id": range(60),
        "Elevation": [2000 + n for n in range(60)],
        "Cover_Type": [n % 7 + 1 for n in range(60)],
    }
    table = raw.table("train.csv", columns)
    raw.table("test.csv", {"Id": [60]})
    held = rows(table, test)
    tables = {"train.csv": rows(table, train), "test.csv": without(held, "Cover_Type")}
    return Expected(held["Id"], {"Cover_Type": held["Cover_Type"]}, tables, said=2)


def machine(raw: Raw) -> Expected:
    count = 100_300
    train, test = drawn(count, test_size=100_000)
    columns = {
        "id": range(count),
        "f_00": [f"{n / 7:.14f}" for n in range(count)],
        "target": [n % 2 for n in range(count)],
    }
    table = raw.table("train.csv", columns)
    parts = rows(table, train), rows(table, test)
    parts[0]["id"] = [str(n) for n in range(len(train))]
    parts[1]["id"] = [str(n) for n in range(len(train), count)]
    tables = {"train.csv": parts[0], "test.csv": without(parts[1], "target")}
    truth = {"target": parts[1]["target"]}
    return Expected(parts[1]["id"], truth, tables, said=0.5, mark="f_00")


def spoken(language: str) -> Callable[[Raw], Expected]:
    def build(raw: Raw) -> Expected:
        pairs = [(3 * s, t) for s in range(30) for t in range(s % 4 + 1)]
        odd = {0: "NA", 1: "null", 2: '"so"'}
        written = [odd.get(n, f"\u043f\u0440\u0438, {n}") for n in range(len(pairs))]
        columns = {
            "sentence_id": [s for s, _ in pairs],
            "token_id": [t for _, t in pairs],
            "class": ["PLAIN"] * len(pairs),
            "before": written,
            "after": [f"said {n}" if n % 5 == 0 else each for n, each in enumerate(written)],
        }
        table = raw.table(f"{language}_train.csv.zip", columns)
        raw.table(f"{language}_test_2.csv.zip", {"sentence_id": [0]})
        raw.table(f"{language}_sample_submission_2.csv.zip", {"id": ["0_0"]})
        unique = list(dict.fromkeys(table["sentence_id"]))
        parts: list[Columns] = []
        for sentences in SPLIT(unique, test_size=0.1, random_state=0):
            taken = [n for n, each in enumerate(table["sentence_id"]) if each in sentences]
            part = rows(table, taken)
            new = {old: str(at) for at, old in enumerate(dict.fromkeys(part["sentence_id"]))}
            part["sentence_id"] = [new[old] for old in part["sentence_id"]]
            parts.append(part)
        train, test = parts
        ids = [f"{s}_{t}" for s, t in zip(test["sentence_id"], test["token_id"], strict=True)]
        name = f"{language}_test_2.csv"
        tables = {f"{language}_train.csv": train, name: without(test, "class", "after")}
        return Expected(
            ids, {"after": test["after"]}, tables, tests=(name,), said=test["before"],
            sample=f"{language}_sample_submission_2.csv", mark="before",
        )  # fmt: skip

    return build


def whales(raw: Raw) -> Expected:
    clips = [
        (f"200903{day}_{hour:02}0000_{second:03}s{ms}ms", int((day + hour + second) % 2))
        for day in (28, 29, 30, 31)
        for hour in (0, 13)
        for second, ms in ((2, 30), (10, 9), (100, 5))
    ]
    members = {
        f"train2/{stem}_TRAIN{n}_{label}.aif": b"FORM\0\0\0\5AIFF" + bytes([n])
        for n, (stem, label) in enumerate(clips)
    }
    raw.zip("train2.zip", dict(reversed(members.items())))
    raw.zip("test2.zip", {"test2/20090401_000000_002s3ms_Test0.aif": b"not to be used"})
    paths = list(members)
    files = {path: members[path] for path in paths[:12]}
    names = [f"{stem}_Test{n}.aif" for n, (stem, _) in enumerate(clips[12:])]
    files |= {f"test2/{name}": members[path] for name, path in zip(names, paths[12:], strict=True)}
    truth = {"probability": [str(label) for _, label in clips[12:]]}
    return Expected(names, truth, files=files, tests=(), sample="sampleSubmission.csv")


BUILDERS: Mapping[str, Callable[[Raw], Expected]] = {
    "aerial-cactus-identification": cactus,
    "aptos2019-blindness-detection": aptos,
    "denoising-dirty-documents": dirty_pages,
    "detecting-insults-in-social-commentary": insults,
    "dog-breed-identification": dog_breeds,
    "dogs-vs-cats-redux-kernels-edition": dogs_and_cats,
    "histopathologic-cancer-detection": tumours,
    "jigsaw-toxic-comment-classification-challenge": toxic_comments,
    "leaf-classification": leaves,
    "mlsp-2013-birds": birds,
    "new-york-city-taxi-fare-prediction": taxi,
    "nomad2018-predict-transparent-conductors": conductors,
    "plant-pathology-2020-fgvc7": apple_leaves,
    "random-acts-of-pizza": pizzas,
    "ranzcr-clip-catheter-line-classification": catheters,
    "siim-isic-melanoma-classification": melanomas,
    "spooky-author-identification": authors,
    "tabular-playground-series-dec-2021": forests,
    "tabular-playground-series-may-2022": machine,
    "text-normalization-challenge-english-language": spoken("en"),
    "text-normalization-challenge-russian-language": spoken("ru"),
    "the-icml-2013-whale-challenge-right-whale-redux": whales,
}
