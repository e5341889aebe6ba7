"""denoising-dirty-documents: clean pages become a table with a row for each pixel."""

import io
from pathlib import PurePosixPath

import numpy as np
import polars as pl
from PIL import Image

from proctor.evaluator.metrics.base import Array
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.drawing import drawn
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.raw.files import Raw

TEST, SEED = 0.2, 0
SAMPLE = "sampleSubmission.csv"
WHITE = 255
MAX_PIXELS = 1 << 24
"""Of one page; those of Kaggle have a hundred times fewer."""


def prepare(raw: Raw, out: Output) -> None:
    """Split the pages; of the test's, the clean ones are the answers.

    Raises:
        TaskError: There are too few pages, or a clean one is no picture.
    """
    names = [PurePosixPath(path).name for path in raw.names("train/*.png")]
    train, test = drawn(len(names), "files", test=TEST, seed=SEED).of(names)
    pages = [f"{folder}/{name}" for name in train for folder in ("train", "train_cleaned")]
    out.files(((page, page) for page in pages), link=True)
    out.files((f"train/{name}", f"test/{name}") for name in test)
    answers = pl.concat([_pixels(raw, f"train_cleaned/{name}") for name in test])
    out.answers(answers)
    out.sample(answers.with_columns(pl.lit(1).alias("value")), file=SAMPLE)


def _pixels(raw: Raw, path: str) -> pl.DataFrame:
    """A page's pixels, row by row; rows and columns count from 1, and white is 1."""
    values = _brightness(raw.read(path), path)
    height, width = int(values.shape[0]), int(values.shape[1])
    page = PurePosixPath(path).stem
    return pl.DataFrame(
        {
            "row": np.repeat(np.arange(1, height + 1), width),
            "column": np.tile(np.arange(1, width + 1), height),
            "value": values.ravel() / WHITE,
        }
    ).select(pl.format("{}_{}_{}", pl.lit(page), "row", "column").alias("id"), "value")


def _brightness(data: bytes, path: str) -> Array:
    """A picture in grey, of shape (height, width), from 0 to 255."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.width * picture.height <= MAX_PIXELS:
                return np.asarray(picture.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise TaskError(f"{path} is no PNG picture: {error}; download it again") from error
    raise TaskError(f"{path} has more than {MAX_PIXELS} pixels; download it again")
