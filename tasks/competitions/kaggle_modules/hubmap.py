"""hubmap-kidney-segmentation: scans, whose sizes stand in another table than their masks."""

import polars as pl

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.drawing import drawn
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.raw.files import Raw

INFORMATION = "HuBMAP-20-dataset_information.csv"
TRAIN, TEST, SEED = 12, 3, 0
GIVEN = (".tiff", "-anatomical-structure.json")
OUTLINES = ".json"
"""Of the glomeruli: these are the labels, so that the test's scans come without."""


def prepare(raw: Raw, out: Output) -> None:
    """Hold three scans back, without the outlines that MLE-bench leaves beside them.

    Raises:
        TaskError: There are too few, or some of unknown size.
    """
    table, sizes = raw.table("train.csv"), _sizes(raw.table(INFORMATION))
    if table.height < TRAIN + TEST:
        raise TaskError(f"train.csv: {table.height} scans instead of {TRAIN + TEST}")
    train, test = drawn(table.height, "rows", test=TEST, train=TRAIN, seed=SEED)
    scans = table[test].join(sizes, on="id", how="left", maintain_order="left")
    if unknown := scans.filter(pl.col("height").is_null())["id"].to_list():
        raise TaskError(f"{INFORMATION}: nothing on these scans: {', '.join(unknown)}")
    out.table("train.csv", table[train])
    out.file(INFORMATION, INFORMATION)
    for scan in table[train]["id"]:
        for ending in (*GIVEN, OUTLINES):
            out.file(f"train/{scan}{ending}", f"train/{scan}{ending}", link=True)
    named = [f"{scan}{ending}" for scan in scans["id"] for ending in GIVEN]
    out.files((f"train/{name}", f"test/{name}") for name in named)
    out.answers(scans.select("id", pl.col("encoding").alias("predicted"), "height", "width"))
    out.sample(scans.select("id", pl.lit("").alias("predicted")))


def _sizes(information: pl.DataFrame) -> pl.DataFrame:
    """Height and width in pixels, by scan."""
    return information.select(
        pl.col("image_file").str.strip_suffix(".tiff").alias("id"),
        pl.col("height_pixels").alias("height"),
        pl.col("width_pixels").alias("width"),
    )
