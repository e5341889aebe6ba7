"""``proctor competitions``: list, show, prepare and make competitions, and grade submissions."""

import typer

from proctor.clients.cli.competitions_grade import grade_submission
from proctor.clients.cli.competitions_list import list_competitions
from proctor.clients.cli.competitions_new import new_competition
from proctor.clients.cli.competitions_prepare import prepare_competitions
from proctor.clients.cli.competitions_report import report_competitions
from proctor.clients.cli.competitions_show import show_competition

app = typer.Typer(help="List, show, prepare, grade and make competitions.", no_args_is_help=True)

app.command("list")(list_competitions)
app.command("show")(show_competition)
app.command("prepare")(prepare_competitions)
app.command("grade")(grade_submission)
app.command("report")(report_competitions)
app.command("new")(new_competition)
