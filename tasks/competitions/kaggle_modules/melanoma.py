"""siim-isic-melanoma-classification: the test is what two files of TFRecords hold.

They hold its labels, too, so agents get the other files alone, and the pictures by name.
"""

from pathlib import PurePosixPath

import polars as pl

from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.raw.files import Raw
from proctor.tasks.competitions.raw.tfrecords import texts

ID, TARGET = "image_name", "target"
RECORDS = "tfrecords/train*.tfrec"
TEST_RECORDS = ("tfrecords/train00-2071.tfrec", "tfrecords/train06-2071.tfrec")
TEST_COLUMNS = (ID, "patient_id", "sex", "age_approx", "anatom_site_general_challenge")


def prepare(raw: Raw, out: Output) -> None:
    """Split the table by the names in those files, in its own order.

    Raises:
        TaskError: Those files cannot be read.
    """
    held_back = {name for path in TEST_RECORDS for name in texts(raw.local(path), ID)}
    table = raw.table("train.csv")
    is_test = table[ID].is_in(list(held_back))
    train, test = table.filter(~is_test), table.filter(is_test)
    out.table("train.csv", train)
    out.table("test.csv", test.select(TEST_COLUMNS))
    for part, rows in (("train", train), ("test", test)):
        for folder, ending in (("", ".dcm"), ("jpeg/", ".jpg")):
            pairs = [
                (f"{folder}train/{name}{ending}", f"{folder}{part}/{name}{ending}")
                for name in rows[ID]
            ]
            out.files(pairs, link=part == "train")
    kept = [path for path in raw.names(RECORDS) if path not in TEST_RECORDS]
    for number, path in enumerate(kept):
        records = PurePosixPath(path).stem.partition("-")[2]
        out.file(path, f"tfrecords/train{number:02}-{records}.tfrec", link=True)
    out.answers(test.select(ID, TARGET))
    out.sample(test.select(ID, pl.lit(0).alias(TARGET)))
