"""The ``proctor`` command: reads the environment, wires the parts, prints.

Commands import what they need when they are called, so that ``--help`` answers at once.
"""

from typing import Annotated

import typer

from proctor import __version__
from proctor.clients.cli import (
    compare,
    competitions,
    grade,
    image,
    judge,
    mcp_config,
    report,
    run,
    serve,
    tasks,
)

app = typer.Typer(
    help="Machine-learning exams for AI agents, served over MCP and graded by execution.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("grade")(grade.grade)
app.command("verify")(grade.verify)
app.command("mcp-config")(mcp_config.mcp_config)
app.add_typer(tasks.app, name="tasks")
app.add_typer(competitions.app, name="competitions")
app.add_typer(image.app, name="image")
app.add_typer(judge.app, name="judge")


def _show_version(value: bool) -> None:  # noqa: FBT001 - as the option calls it
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    del version  # seen to by its callback


def main() -> None:
    """Run the command line."""
    app()
