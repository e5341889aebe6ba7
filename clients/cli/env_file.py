"""Keys from a file: what ``.env`` says, where the environment does not say it."""

from pathlib import Path

from proctor.clients.cli.options import usage_error

DEFAULT = Path(".env")
"""In the working directory; nobody minds where it is missing."""


def load_env_file(path: Path | None) -> Path | None:
    """Take what the file says into the environment, which wins; ends with exit code 2 if it cannot.

    Nothing of it reaches a sandbox: commands there have an environment of their own.
    """
    if path is None and not DEFAULT.is_file():
        return None
    from dotenv import load_dotenv

    try:
        with (path or DEFAULT).open(encoding="utf-8") as stream:
            load_dotenv(stream=stream, override=False)
    except (OSError, ValueError) as error:
        usage_error(f"--env-file {path or DEFAULT} cannot be read: {error}")
    return path
