"""Kaggle's own client, and what of it is used here. The one file that imports it.

Two facts: importing ``kaggle`` looks for credentials at once, and prints where it finds none; and
its client knows no time limit, so that each connection is given one here.
"""

import io
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.download.patience import Patience, is_passing, status_of

TIMEOUT_S = (30.0, 120.0)
"""To connect, and from one piece of an answer to the next."""
PAGE, PAGES = 200, 10
"""Files on a page of a list, the most that Kaggle gives; and pages: of more files than that only
the archive of all is of use."""
TOKENS = "https://www.kaggle.com/settings/api"
NO_CREDENTIALS = (
    f"Kaggle needs to know who asks: make a token at {TOKENS}, and set KAGGLE_API_TOKEN, or "
    "KAGGLE_USERNAME and KAGGLE_KEY, or save it as ~/.kaggle/kaggle.json; or give the files "
    "with --raw DIR"
)
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404

T = TypeVar("T")
_printing = threading.Lock()


class Listed(NamedTuple):
    """A file of a competition."""

    name: str
    """Its path."""
    size_bytes: int


class Listing(NamedTuple):
    """The files of a competition."""

    files: tuple[Listed, ...]
    is_whole: bool
    """Whether these are all of them."""

    @property
    def size_bytes(self) -> int:
        """Of these files together."""
        return sum(each.size_bytes for each in self.files)


class Address(NamedTuple):
    """Where something can be downloaded for some minutes. It is secret."""

    url: str
    headers: Mapping[str, str]
    size_bytes: int | None


class Kaggle:
    """What a user may see of Kaggle. Each call is made once: `Patience` repeats them."""

    def __init__(self, client: Any, requests_of: Any) -> None:  # noqa: ANN401 - Kaggle's, untyped
        """Made by `connected`."""
        self._client = client
        self._requests = requests_of

    def has_entered(self, competition: str) -> bool:
        """Whether the user has, which goes with accepting the rules."""
        asked = self._requests.ApiGetCompetitionRequest()
        asked.competition_name = competition
        return bool(_answer(self._client.get_competition, asked, competition).user_has_entered)

    def list_page(self, competition: str, token: str) -> tuple[list[Listed], str]:
        """A page of the competition's files, and what to ask for the next one with."""
        asked = self._requests.ApiListDataFilesRequest()
        asked.competition_name = competition
        asked.page_size = PAGE
        asked.page_token = token
        page = _answer(self._client.list_data_files, asked, competition)
        files = [Listed(str(each.name), int(each.total_bytes)) for each in page.files or ()]
        return files, str(page.next_page_token or "")

    def archive(self, competition: str) -> Address:
        """Where the zip of all files is."""
        asked = self._requests.ApiDownloadDataFilesRequest()
        asked.competition_name = competition
        return _address(_answer(self._client.download_data_files, asked, competition))

    def file(self, competition: str, name: str) -> Address:
        """Where one file is; perhaps zipped, and called so."""
        asked = self._requests.ApiDownloadDataFileRequest()
        asked.competition_name = competition
        asked.file_name = name
        return _address(_answer(self._client.download_data_file, asked, competition))


@contextmanager
def connected(patience: Patience) -> Generator[Kaggle]:
    """Kaggle, with the credentials that its client finds in its usual places.

    Raises:
        TaskError: The package is not installed, or there are no credentials.
    """
    api_class, requests_of = _imported()
    with patience(lambda: _authenticated(api_class)).build_kaggle_client() as client:
        _limit_in_time(client)
        yield Kaggle(client.competitions.competition_api_client, requests_of)


def listing(kaggle: Kaggle, competition: str, patience: Patience) -> Listing:
    """The competition's files, or so many of them as are worth asking for."""
    files: list[Listed] = []
    token = ""
    for _ in range(PAGES):
        page, token = patience(partial(kaggle.list_page, competition, token))
        files += page
        if not token:
            break
    return Listing(tuple(files), is_whole=not token)


def rules_of(competition: str) -> str:
    """The page where a competition's rules are accepted."""
    return f"https://www.kaggle.com/c/{competition}/rules"


def _imported() -> tuple[Any, Any]:
    try:
        with _printing, redirect_stdout(io.StringIO()):
            api = import_module("kaggle.api.kaggle_api_extended")  # slow, an extra, and untyped
            requests_of = import_module("kagglesdk.competitions.types.competition_api_service")
    except ImportError:
        raise TaskError(
            "downloading needs Kaggle's client: pip install 'mle-proctor[kaggle]'; or give the "
            "files with --raw DIR"
        ) from None
    except OSError as error:
        raise TaskError(
            f"Kaggle's client cannot make its directory: {error.strerror}: {error.filename}; set "
            "KAGGLE_CONFIG_DIR"
        ) from error
    return api.KaggleApi, requests_of


def _authenticated(api_class: Any) -> Any:  # noqa: ANN401 - Kaggle's, untyped
    api = api_class()
    api.args = [each for each in api.args if each != "--verbose"]  # that prints the key
    api.already_printed_version_warning = True
    try:
        with _printing, redirect_stdout(io.StringIO()):
            api.authenticate()
    except SystemExit:
        raise TaskError(NO_CREDENTIALS) from None
    except requests.HTTPError as error:
        if is_passing(error):
            raise
        raise TaskError(_refusal(error, "")) from None
    return api


class _InTime(HTTPAdapter):
    @override
    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        how["timeout"] = how.get("timeout") or TIMEOUT_S
        return super().send(request, *args, **how)


def _limit_in_time(client: Any) -> None:  # noqa: ANN401 - Kaggle's, untyped
    with suppress(
        AttributeError
    ):  # private there: without it a server that is silent is waited for
        session = client.http_client()._session  # noqa: SLF001 - there is no other way to its session
        session.mount("https://", _InTime())
        session.mount("http://", _InTime())


def _answer(call: Callable[[Any], T], asked: Any, competition: str) -> T:  # noqa: ANN401
    try:
        return call(asked)
    except requests.HTTPError as error:
        if is_passing(error):
            raise
        raise TaskError(_refusal(error, competition)) from None


def _refusal(error: requests.HTTPError, competition: str) -> str:
    status = status_of(error)
    if status == UNAUTHORIZED:
        return f"Kaggle does not take the credentials (HTTP 401); make new ones at {TOKENS}"
    if status == FORBIDDEN:
        return (
            f"Kaggle does not give {competition or 'anything'} to these credentials (HTTP 403)"
            + (f"; accept the rules at {rules_of(competition)}" if competition else "")
        )
    if status == NOT_FOUND:
        return f"Kaggle has no such competition, or not this file of it: {competition} (HTTP 404)"
    return f"Kaggle refuses {competition or 'to answer'} (HTTP {status})"


def _address(response: requests.Response) -> Address:
    """Where an answer came from, which is then let go."""
    with response:
        size = response.headers.get("Content-Length", "")
        return Address(
            url=response.url,
            headers=_sent(response.request),
            size_bytes=int(size) if size.isdecimal() else None,
        )


def _sent(request: requests.PreparedRequest) -> dict[str, str]:
    """What of a request's headers must come again; no key, where another server was asked."""
    return {key: str(request.headers[key]) for key in ("Authorization",) if key in request.headers}
