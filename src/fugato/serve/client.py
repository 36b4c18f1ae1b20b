"""A small typed client: what the API answers, as objects.

>>> from fugato.serve import Client  # doctest: +SKIP
>>> with Client() as client:  # doctest: +SKIP
...     client.identify("nocturne.mid")[0].name
'Chopin'
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx
from pydantic import TypeAdapter

from fugato.errors import KINDS, FugatoError
from fugato.serve import schemas

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

ADDRESS: Final = "http://127.0.0.1:8000"
WAIT: Final = 600.0  # seconds for an answer
BETWEEN: Final = 0.2  # seconds between two looks at a job
TRIES: Final = 60  # times that a busy server is asked again

PathLike = str | os.PathLike[str]
Played = tuple[int, float, float | None, int]
_SOCKETS: Final = {"http": "ws", "https": "wss"}
_ANSWERS: Final[TypeAdapter[list[schemas.Answer | schemas.Refusal]]] = TypeAdapter(
    list[schemas.Answer | schemas.Refusal]
)


class Client:
    """Asks a server that runs (`fugato serve`).

    Parameters
    ----------
    address : str
        Of the page.
    token : str, optional
        Where the server asks for one.
    timeout : float
        Seconds that an answer may take.

    Raises
    ------
    FugatoError
        From every method: what the server refuses, with its kind; ``bad-option`` where no server answers.
    """

    def __init__(self, address: str = ADDRESS, *, token: str | None = None, timeout: float = WAIT) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout, trust_env=False)
        self._headers, self._timeout = headers, timeout

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    # -- answers -------------------------------------------------------------------------------------------------------

    def health(self) -> schemas.Health:
        """That the server answers, and its version."""
        return schemas.Health.model_validate(self._get("/health"))

    def identify(
        self,
        *files: PathLike,
        explain: bool = False,
        candidates: Sequence[str] | None = None,
        top: int | None = None,
        model: str = "composer",
    ) -> list[schemas.Answer | schemas.Refusal]:
        """Who wrote each of the files, as `fugato.identify`; a `Refusal` stands for one that cannot be answered."""
        fields: dict[str, Any] = {
            "explain": explain,
            "candidates": ",".join(candidates) if candidates else None,
            "top": top,
        }
        return _ANSWERS.validate_python(self._post("/api/identify", files, model=model, **fields).json())

    def genre(
        self, *files: PathLike, top: int | None = None, model: str = "genre"
    ) -> list[schemas.Answer | schemas.Refusal]:
        """Which genre each of the recordings is, as `fugato.genre`."""
        return _ANSWERS.validate_python(self._post("/api/genre", files, top=top, model=model).json())

    def compare(self, a: PathLike, b: PathLike) -> schemas.Comparison:
        """How alike two pieces are in style, and whether they are the same work."""
        return schemas.Comparison.model_validate(self._post("/api/compare", (a, b)).json())

    def style_map(self, *files: PathLike, model: str = "composer") -> schemas.StyleMap:
        """Three pieces or more as points of a picture."""
        return schemas.StyleMap.model_validate(self._post("/api/map", files, model=model).json())

    # -- files ---------------------------------------------------------------------------------------------------------

    def notes(self, file: PathLike) -> schemas.Notes:
        """The notes of a piece in seconds and quarter notes."""
        return schemas.Notes.model_validate(self._post("/api/notes", (file,)).json())

    def sound(self, file: PathLike) -> schemas.Sound:
        """The waveform and the mel spectrogram of a recording."""
        return schemas.Sound.model_validate(self._post("/api/sound", (file,)).json())

    def convert(self, file: PathLike, to: Literal["mid", "musicxml", "wav", "png"]) -> bytes:
        """A piece as another kind of file."""
        return self._post(f"/api/convert?to={to}", (file,)).content

    # -- composing -----------------------------------------------------------------------------------------------------

    def compose(self, style: str | None = None, seed: PathLike | None = None, **options: Any) -> schemas.Job:
        """Start to write new music.

        Parameters
        ----------
        style : str, optional
        seed : path, optional
            Music to go on from.
        options
            As `fugato.compose`, with ``variations`` and ``keep``; `schemas.ComposeOptions` has them all.

        Returns
        -------
        Job
            Give it to `wait`, `bars`, `stop` or `file`.
        """
        if isinstance(options.get("infill"), tuple):
            options["infill"] = "{}:{}".format(*options["infill"])
        fields = {"style": style, **options}
        return schemas.Job.model_validate(self._post("/api/compose", seed=seed, **fields).json())

    def job(self, job: schemas.Job | str) -> schemas.Job:
        """How far it is."""
        return schemas.Job.model_validate(self._get(f"/api/compose/{_id(job)}"))

    def wait(self, job: schemas.Job | str, *, seconds: float = WAIT) -> schemas.Job:
        """The job when it is done.

        Raises
        ------
        FugatoError
            What it failed with; ``timeout``.
        """
        until = time.monotonic() + seconds
        while (found := self.job(job)).status in ("waiting", "writing"):
            if time.monotonic() > until:
                raise FugatoError("timeout", f"It is not done after {seconds:g} seconds.")
            time.sleep(BETWEEN)
        if found.problem is not None:
            raise _error(found.problem.kind, found.problem.detail, found.problem.input)
        return found

    def bars(self, job: schemas.Job | str) -> Iterator[schemas.Bar]:
        """The bars as they are written, those of the seed first. Whoever leaves before the end lets the job be stopped soon.

        Raises
        ------
        FugatoError
            What the job failed with.
        """
        with self._http.stream("GET", "/api/compose/stream", params={"job": _id(job)}) as response:
            if not response.is_success:
                response.read()
                _checked(response)
            for name, said in events(response.iter_lines()):
                if name == "bar":
                    yield schemas.Bar.model_validate(said)
                elif name == "error":
                    raise _error(said.get("kind"), said["detail"], said.get("input"))

    def stop(self, job: schemas.Job | str) -> schemas.Job:
        """Stop it."""
        return schemas.Job.model_validate(self._ask("DELETE", f"/api/compose/{_id(job)}").json())

    def file(self, job: schemas.Job | str, name: str = "1.mid") -> bytes:
        """A file of a job that is done: number of the variation and format."""
        return self._ask("GET", f"/api/compose/{_id(job)}/{name}").content

    def feedback(
        self, job: schemas.Job | str, verdict: Literal["keep", "discard"], *, variation: int = 1, comment: str = ""
    ) -> None:
        """Say what you think of a piece: a line of feedback.jsonl in the server's FUGATO_HOME, with how the piece was made.

        Parameters
        ----------
        job : Job or str
            One that is done.
        verdict : "keep" or "discard"
        variation : int
            Which of its pieces.
        comment : str
            At most 2,000 characters.
        """
        said = {"job": _id(job), "variation": variation, "verdict": verdict, "comment": comment}
        self._ask("POST", "/api/feedback", json=said)

    # -- while somebody plays ------------------------------------------------------------------------------------------

    def live(self, model: str | None = None) -> Live:
        """A connection that takes notes as they are played, and says after each message who might have composed them.

        Parameters
        ----------
        model : str, optional
            A shipped or local model; "composer" where left out.

        Returns
        -------
        Live
            Use it as a context manager, or close it.

        Raises
        ------
        FugatoError
            ``bad-option`` where no server answers, ``busy`` where it listens to too many.
        """
        from websockets.exceptions import InvalidHandshake, InvalidURI
        from websockets.sync.client import connect

        address = str(self._http.base_url.join("/api/live").copy_with(scheme=_SOCKETS[self._http.base_url.scheme]))
        try:
            socket = connect(address, additional_headers=self._headers, open_timeout=self._timeout, proxy=None)
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise FugatoError("bad-option", f"No server answers ({error}).", str(self._http.base_url)) from error
        return Live(socket, model, self._timeout)

    # -- what there is -------------------------------------------------------------------------------------------------

    def models(self) -> list[dict[str, Any]]:
        """The cards of all models."""
        found: list[dict[str, Any]] = self._get("/api/models")
        return found

    def composers(self) -> schemas.Composers:
        """The table of composers, and the styles that can be composed in."""
        return schemas.Composers.model_validate(self._get("/api/composers"))

    def examples(self) -> list[schemas.Example]:
        """Pieces that come along."""
        return [schemas.Example.model_validate(found) for found in self._get("/api/examples")]

    def example(self, name: str) -> bytes:
        """The file of an example."""
        return self._ask("GET", f"/api/examples/{name}").content

    # -- HTTP ----------------------------------------------------------------------------------------------------------

    def _get(self, path: str) -> Any:
        return self._ask("GET", path).json()

    def _post(
        self, path: str, files: Sequence[PathLike] = (), *, seed: PathLike | None = None, **fields: Any
    ) -> httpx.Response:
        data = {name: _text(value) for name, value in fields.items() if value is not None}
        named = [("files", file) for file in files] + ([("seed", seed)] if seed is not None else [])
        with ExitStack() as stack:
            try:
                sent = [(name, (Path(file).name, stack.enter_context(open(file, "rb")))) for name, file in named]
            except OSError as error:
                raise FugatoError("bad-data", f"It cannot be opened: {error.strerror}.", str(error.filename)) from error
            return self._ask("POST", path, data=data, files=sent)

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Ask, again and again while the server is busy."""
        for left in reversed(range(TRIES)):
            for _, (_, file) in content.get("files") or ():
                file.seek(0)
            try:
                response = self._http.request(method, path, **content)
            except httpx.HTTPError as error:
                raise FugatoError("bad-option", f"No server answers ({error}).", str(self._http.base_url)) from error
            if response.status_code != httpx.codes.TOO_MANY_REQUESTS or not left:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
        return _checked(response)


class Live:
    """Notes to a server while somebody plays; made by `Client.live`.

    Parameters
    ----------
    socket : ClientConnection
    model : str or None
    timeout : float
        Seconds that an answer may take.
    """

    def __init__(self, socket: ClientConnection, model: str | None, timeout: float) -> None:
        self._socket, self._model, self._timeout = socket, model, timeout

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def play(self, notes: Iterable[Played] = (), *, reset: bool = False, explain: bool = False) -> schemas.Heard:
        """Send new notes, and hear who might have composed all so far.

        Parameters
        ----------
        notes : iterable of (pitch, onset, offset, velocity)
            Onsets and offsets in seconds, the offset None while a key is down; pitch and velocity as in MIDI.
        reset : bool
            Begin another piece.
        explain : bool
            With the whole answer, as `identify` gives it.

        Raises
        ------
        FugatoError
            What the server refuses; the connection goes on. ``timeout``, and ``busy`` where it has too many connections.
        """
        from websockets.exceptions import ConnectionClosed

        message = {"notes": list(notes), "reset": reset, "explain": explain}
        try:
            self._socket.send(json.dumps(message if self._model is None else {**message, "model": self._model}))
            said = json.loads(self._socket.recv(self._timeout))
        except TimeoutError as error:
            raise FugatoError("timeout", f"There was no answer within {self._timeout:g} seconds.") from error
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd is not None else ""
            raise FugatoError("busy", reason or "The server has ended the connection.") from error
        if "error" in said:
            raise _error(said["error"].get("kind"), said["error"]["message"], None)
        return schemas.Heard.model_validate(said)


def _id(job: schemas.Job | str) -> str:
    return job if isinstance(job, str) else job.job


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is no problem."""
    if response.is_success:
        return response
    try:
        said = response.json()
        kind, detail, about = said.get("kind"), str(said["detail"]), said.get("input")
    except (ValueError, KeyError, AttributeError):
        kind, detail, about = None, f"The server answered {response.status_code}.", None
    raise _error(kind, detail, about)


def _error(kind: str | None, detail: str, about: str | None) -> FugatoError:
    return FugatoError(kind if kind in KINDS else "bad-option", detail, about)


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Server-sent events, each as its name and what it carries."""
    name, data = "message", ""
    for line in lines:
        if not line:
            if data:
                yield name, json.loads(data)
            name, data = "message", ""
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
