"""``proctor image``: build, list and prune the image that agents' code runs in."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import complain

if TYPE_CHECKING:
    from proctor.sandbox_backends.engine import Engine
    from proctor.sandbox_backends.image import Recipe

app = typer.Typer(help="Build, list and prune the sandbox image.", no_args_is_help=True)


@app.command("build")
def build(
    *,
    base: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="A Debian-like image with Python >= 3.11 and venv."),
    ] = None,
    package: Annotated[
        list[str] | None,
        typer.Option(metavar="REQUIREMENT", help="Install this, too. May be repeated."),
    ] = None,
    ca_bundle: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Authorities for pip to trust."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="The network of the build, such as host.")
    ] = None,
) -> None:
    """Build the image; what is built last is what sandboxes are made of."""
    import anyio

    from proctor.sandbox_backends.image import Recipe

    recipe = Recipe(base=base, packages=tuple(package or ()), ca_bundle=ca_bundle, network=network)
    anyio.run(_build, recipe)


async def _build(recipe: "Recipe") -> None:
    from proctor.sandbox_backends.image import build_image

    async with _engine() as engine:
        print(await build_image(engine, recipe, complain))


@app.command("list")
def list_images() -> None:
    """List the sandbox images that the container engine holds."""
    import anyio

    anyio.run(_list)


async def _list() -> None:
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table

    from proctor.sandbox_backends.image import built_images

    table = Table("image", "id", "built", "MiB", "", box=None)
    async with _engine() as engine:
        for image in await built_images(engine):
            table.add_row(
                ", ".join(image.tags) or "-",
                image.id.removeprefix("sha256:")[:12],
                f"{datetime.fromtimestamp(image.created_s, UTC):%Y-%m-%d %H:%M}",
                str(image.bytes >> 20),
                "in use" if image.current else "",
            )
    Console().print(table)


@app.command("prune")
def prune() -> None:
    """Remove the sandbox images of other versions of Proctor, and those built over."""
    import anyio

    anyio.run(_prune)


async def _prune() -> None:
    from proctor.sandbox_backends.image import built_images
    from proctor.schemas.errors import SandboxStartError

    async with _engine() as engine:
        for image in await built_images(engine):
            if not image.current:
                name = ", ".join(image.tags) or image.id
                try:
                    await engine.remove_image(image.id)
                    print(f"removed {name}")
                except SandboxStartError as error:
                    complain(f"proctor: {name} stays: {error}")


@asynccontextmanager
async def _engine() -> AsyncGenerator["Engine"]:
    """The engine; what it cannot do ends the command with exit code 1."""
    from proctor.sandbox_backends.engine import Engine
    from proctor.schemas.errors import SandboxStartError

    try:
        engine = await Engine.connect()
        try:
            yield engine
        finally:
            await engine.close()
    except SandboxStartError as error:
        complain(f"proctor: {error}")
        raise typer.Exit(1) from error
