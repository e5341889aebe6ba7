"""The image that agents' code runs in: the target ``sandbox`` of the package's own Dockerfile.

Its tag is a digest of that file, so that a new recipe is a new image. Base image and packages may
be chosen when it is built; whatever was built last under the tag is what sandboxes are made of.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from proctor.sandbox_backends.engine import Engine

REPOSITORY = "proctor-sandbox"
PODMANS_PREFIX = "localhost/"
LABEL = "proctor.image=sandbox"


@dataclass(frozen=True)
class Recipe:
    """What may be chosen of the image."""

    base: str | None = None
    """A Debian-like image with Python >= 3.11 and venv; the Dockerfile's own by default."""
    packages: tuple[str, ...] = ()
    """Requirements of pip, beside those that every image has."""
    ca_bundle: Path | None = None
    """Authorities for pip to trust; they stay in the build stage."""
    network: str | None = None
    """The network of the build, such as ``host``; the engine's default otherwise."""


def image_name() -> str:
    """The name of the image that this version of Proctor uses."""
    return f"{REPOSITORY}:{hashlib.sha256(_dockerfile()).hexdigest()[:12]}"


async def build_image(engine: Engine, recipe: Recipe, say: Callable[[str], object]) -> str:
    """Build the image; `say` is told every line of its progress.

    Returns:
        Its name.

    Raises:
        SandboxStartError: It cannot be built.
        OSError: The bundle cannot be read.
    """
    context = {"Dockerfile": _dockerfile()}
    if recipe.ca_bundle is not None:
        context["ca-bundle.crt"] = recipe.ca_bundle.read_bytes()
    arguments = {"BASE": recipe.base, "EXTRA_PACKAGES": " ".join(recipe.packages)}
    options = {
        "target": "sandbox",
        "tag": image_name(),
        "buildargs": {name: value for name, value in arguments.items() if value},
        "network_mode": recipe.network,
    }
    await engine.build(context, options, say)
    return image_name()


@dataclass(frozen=True)
class BuiltImage:
    """One sandbox image that the engine holds."""

    id: str
    tags: tuple[str, ...]
    created_s: int
    """Seconds since the epoch."""
    bytes: int

    @property
    def current(self) -> bool:
        """Whether this version of Proctor uses it."""
        return image_name() in (tag.removeprefix(PODMANS_PREFIX) for tag in self.tags)


async def built_images(engine: Engine) -> tuple[BuiltImage, ...]:
    """Every sandbox image, the newest first."""
    found = [
        BuiltImage(
            id=each["Id"],
            tags=tuple(tag for tag in each["RepoTags"] or () if not tag.startswith("<none>")),
            created_s=each["Created"],
            bytes=each["Size"],
        )
        for each in await engine.images(LABEL)
    ]
    return tuple(sorted(found, key=lambda image: image.created_s, reverse=True))


def _dockerfile() -> bytes:
    return files("proctor").joinpath("Dockerfile").read_bytes()
