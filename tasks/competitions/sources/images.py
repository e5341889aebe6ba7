"""``images``: handwritten digits that come with scikit-learn, each photographed anew, as PNG files.

A digit is a point between two of its class: sandboxes have scikit-learn, and so the collection
itself. It is turned, slanted, shifted and scaled on a larger canvas, parts of two other digits
stand beside it, a scratch goes across, light falls in from a side, the film may be a negative, and
there is noise. To find the original is of less use than to learn.
"""

import io
from collections import defaultdict
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from PIL import Image
from pydantic import Field

from proctor.evaluator.metrics.base import Array
from proctor.schemas.base import Value
from proctor.tasks.competitions.sources.dataset import COLLECTIONS, draw
from proctor.tasks.competitions.sources.made import Made

NDIMAGE: Any = import_module("scipy.ndimage")
"""It has no types of its own."""
HIGHEST = 16.0
"""Value of a pixel in the collection."""
WHITE = 255
Numbers: TypeAlias = Any
"""An array; numpy's types get lost in mixed arithmetic."""
SUFFIX = ".png"


class Settings(Value):
    """How large the images are, and how hard to read."""

    target: str
    """What the column of digits is called."""
    rows: int = Field(gt=0)
    side: int = Field(ge=16, le=128)
    """In pixels."""
    scale: tuple[float, float]
    """The least and the greatest height of a digit, as a share of the side."""
    turn: float = Field(ge=0)
    """The standard deviation of the angle, in radians."""
    slant: float = Field(ge=0)
    """The standard deviation of the shear."""
    shift: float = Field(ge=0)
    """The standard deviation of the place, as a share of the side."""
    neighbours: float = Field(ge=0, le=1)
    """How strong the digits beside it are."""
    scratches: float = Field(ge=0, le=1)
    """The share of images with one."""
    contrast: tuple[float, float]
    noise: float = Field(ge=0)
    """As a share of white."""


def make(settings: Settings, rng: np.random.Generator) -> Made:
    """Draw the images."""
    collection: Any = COLLECTIONS.load_digits()
    drawn = draw(collection.images / HIGHEST, collection.target, settings.rows, rng)
    files = tuple(encoded(_photo(each, drawn.rows, settings, rng)) for each in drawn.rows)
    return Made(pl.DataFrame({settings.target: drawn.classes}), (settings.target,), files, SUFFIX)


def encoded(pixels: Array) -> bytes:
    """Grey pixels, of shape (height, width) and dtype uint8, as PNG."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def with_images_folded(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files by path, the images of a folder as one: all their names, sizes and pixels.

    An encoder's next version may write other bytes for the same image.
    """
    folded = {name: data for name, data in files.items() if not name.endswith(SUFFIX)}
    shown = defaultdict[str, list[bytes]](list)
    for name in sorted(files.keys() - folded.keys()):
        pixels = decoded(files[name])
        said = f"{name} {pixels.shape}\n".encode() + pixels.tobytes()
        shown[f"{name.rpartition('/')[0]}/*{SUFFIX}"].append(said)
    return folded | {folder: b"".join(parts) for folder, parts in shown.items()}


def decoded(data: bytes) -> Array:
    """The grey pixels of a PNG, of shape (height, width) and dtype uint8."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return np.asarray(image.convert("L"))


def _photo(digit: Array, others: Array, settings: Settings, rng: np.random.Generator) -> Array:
    side = settings.side
    x, y = rng.normal(0, settings.shift * side, 2)
    height = side * rng.uniform(*settings.scale)
    ink = _placed(digit, settings, (x, y, height), rng)
    for direction in (-1, 1):
        other = others[rng.integers(len(others))]
        beside = (x + direction * height * rng.uniform(0.75, 1.0), y, height)
        ink = np.maximum(ink, settings.neighbours * _placed(other, settings, beside, rng))
    if rng.random() < settings.scratches:
        ink = _scratched(ink, rng)
    return _exposed(ink, settings, rng)


def _placed(
    digit: Array, settings: Settings, at: tuple[float, float, float], rng: np.random.Generator
) -> Array:
    """A digit on the canvas, so far right and down of its middle, and so high."""
    x, y, height = at
    angle, slant = rng.normal(0, settings.turn), rng.normal(0, settings.slant)
    cos, sin, step = np.cos(angle), np.sin(angle), len(digit) / height
    back = step * np.array([[cos, sin], [slant * cos - sin, slant * sin + cos]])
    middle = np.array([settings.side / 2 + y, settings.side / 2 + x])
    offset = np.array([(len(digit) - 1) / 2] * 2) - back @ middle
    size = (settings.side, settings.side)
    found: Array = NDIMAGE.affine_transform(digit, back, offset, size, order=1)
    return found


def _scratched(ink: Numbers, rng: np.random.Generator) -> Array:
    """A band across, light or dark."""
    rows, columns = _grid(len(ink))
    angle = rng.uniform(0, np.pi)
    away = np.abs(np.cos(angle) * rows + np.sin(angle) * columns - rng.normal(0, len(ink) / 6))
    return np.where(away < rng.uniform(0.6, 1.8), rng.uniform(0, 1), ink)


def _exposed(ink: Numbers, settings: Settings, rng: np.random.Generator) -> Array:
    """Ink as brightness, from 0 to 255."""
    rows, columns = (each / len(ink) for each in _grid(len(ink)))
    light = rng.normal(0, 0.2) * rows + rng.normal(0, 0.2) * columns
    contrast = float(rng.uniform(*settings.contrast)) * int(rng.choice((-1, 1)))
    seen = 0.5 + rng.normal(0, 0.06) + contrast * (ink - 0.5) + light
    return _developed(seen + rng.normal(0, settings.noise, (len(ink), len(ink))))


def _developed(seen: Numbers) -> Array:
    return np.asarray(np.round(WHITE * np.clip(seen, 0, 1)), np.uint8)


def _grid(side: int) -> tuple[Numbers, Numbers]:
    """Each pixel's row and column, from the middle."""
    rows, columns = np.indices((side, side)) - side / 2
    return rows, columns
