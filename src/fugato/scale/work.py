"""What a worker does with one task of a run: some inputs in, what became of each out.

The functions here are called by name on Dask workers, which need the same version of Fugato, the same model and, for paths, the same
folders. Scores are parsed in a process of their own (`fugato.read.Reader`), one for each thread of the worker, which lives on from task
to task with the model in it; recordings are decoded in such processes too, and their model stays in the worker.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from fugato import __version__
from fugato.composer.identify import THEN as IDENTIFY
from fugato.composer.identify import answer_of
from fugato.corpus import Corpus, Piece
from fugato.errors import FugatoError
from fugato.models.card import CARD_NAME
from fugato.models.names import find_model
from fugato.read import Item, Reader
from fugato.read.audio import DEFAULT_LIMITS as SOUND_LIMITS
from fugato.read.files import NamedBytes, Source, name_of
from fugato.read.limits import DEFAULT_LIMITS
from fugato.read.many import read_item
from fugato.represent.chunks import Chunks
from fugato.scale.places import fetch, fetched, is_remote
from fugato.study.featurise import THEN as CHUNKS
from fugato.study.featurise import Rows

MOST: Final = max(DEFAULT_LIMITS.midi_bytes, DEFAULT_LIMITS.text_bytes)  # bytes of a file with notes


class Input(NamedTuple):
    """One input: what it is called in answers, and the path or address under which a worker finds it."""

    name: str
    place: str
    piece: Piece | None = None  # of a collection, for its feature table


@dataclass(frozen=True)
class Task:
    """What is asked of every input of a run.

    Attributes
    ----------
    what : "identify", "genre", "chunks" or "rows"
        "chunks" gives the arrays of `fugato.represent.chunks`, "rows" the rows of the feature table.
    options : dict
        Of the function that answers.
    models : dict
        Name or folder of each model to the checksum of its card, so that a worker with another one is found out.
    version : str
        Of Fugato, where the run was started.
    """

    what: str
    options: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    version: str = __version__


class Outcome(NamedTuple):
    """What became of one input: `body` is the answer as JSON, or one block of bytes for each tune; else `error` is (kind, message)."""

    name: str
    sha256: str
    error: tuple[str, str] | None
    body: tuple[bytes, ...] = ()


def do(task: Task, inputs: Sequence[Input]) -> list[Outcome]:
    """Answer some inputs, in their order. A bad file costs its own answer alone.

    Raises
    ------
    FugatoError
        ``bad-option`` or ``bad-model`` where this worker is not fit for the run, which then ends.
    """
    check(task)
    return [_one(task, given) for given in inputs]


def check(task: Task) -> str:
    """Whether this worker has the version of Fugato and the models of the run; the name of its machine."""
    host = platform.node()
    if task.version != __version__:
        raise FugatoError(
            "bad-option",
            f"The worker on {host} has Fugato {__version__}, the run was started with {task.version}. Install the same version everywhere.",
        )
    for model, digest in task.models.items():
        if card_digest(model) != digest:
            raise FugatoError("bad-model", "A worker has another model of that name; give all of them the same.", model)
    return host


def card_digest(model: str) -> str:
    """The checksum of a model's card, which lists those of its files."""
    return hashlib.sha256((find_model(model) / CARD_NAME).read_bytes()).hexdigest()


def _one(task: Task, given: Input) -> Outcome:
    try:
        return TASKS[task.what](given, task.options)
    except FugatoError as error:
        return refusal(task, given.name, error.kind, error.message)
    except MemoryError:
        return refusal(task, given.name, "too-large", "It needs more memory than the worker has left.")
    except Exception as trouble:  # noqa: BLE001 (whatever an analysis stumbles over, the run goes on)
        reason = " ".join(f"{type(trouble).__name__}: {trouble}".split())
        return refusal(task, given.name, "corrupt", f"It could not be analysed ({reason}).")


def refusal(task: Task, name: str, kind: str, message: str, sha256: str = "") -> Outcome:
    """The outcome of an input that cannot be answered."""
    answer = FugatoError(kind, message, name).to_dict()
    body = (json.dumps(answer).encode(),) if task.what in ("identify", "genre") else ()
    return Outcome(name, sha256, (kind, message), body)


# -- scores ------------------------------------------------------------------------------------------------------------

_own = threading.local()


def _reader() -> Reader:
    """The reading process of this thread."""
    if not hasattr(_own, "reader"):
        _own.reader = Reader()
    found: Reader = _own.reader
    return found


def _read(given: Input, then: str, options: Mapping[str, Any]) -> Item:
    source: Source = given.place
    if is_remote(given.place) or given.piece is not None:
        source = NamedBytes(_open_piece(given) if not is_remote(given.place) else fetch(given.place, MOST))
        source.name = given.place.partition("::")[0]
    return read_item(source, _reader(), then=then, options=options)


def _open_piece(given: Input) -> bytes:
    assert given.piece is not None
    return Corpus([given.piece]).open(given.piece)


def _identify(given: Input, options: Mapping[str, Any]) -> Outcome:
    item = _read(given, IDENTIFY, options)
    answer = answer_of(item, given.name)
    return _answered(given, item.sha256, answer)


def _answered(given: Input, sha256: str, answer: dict[str, Any]) -> Outcome:
    error = answer.get("error")
    refused = (error["kind"], error["message"]) if error else None
    return Outcome(given.name, sha256, refused, (json.dumps(answer).encode(),))


# -- recordings --------------------------------------------------------------------------------------------------------


def _genre(given: Input, options: Mapping[str, Any]) -> Outcome:
    from fugato.genre import genre

    if is_remote(given.place):
        with fetched(given.place, SOUND_LIMITS.file_bytes) as path:
            answer = genre(path, **options)
    else:
        answer = genre(given.place, **options)
    return _answered(given, answer.sha256 or "", {**answer.to_dict(), "input": given.name})


# -- feature tables ----------------------------------------------------------------------------------------------------


def _chunks(given: Input, options: Mapping[str, Any]) -> Outcome:
    item = _read(given, CHUNKS, {"size": options["size"]})
    found = tuple(r for r in item.tunes or (item.result,) if isinstance(r, bytes))
    if found:
        return Outcome(given.name, item.sha256, None, found)
    assert isinstance(item.result, FugatoError)  # what is not bytes is one
    return Outcome(given.name, item.sha256, (item.result.kind, item.result.message))


def _rows(given: Input, options: Mapping[str, Any]) -> Outcome:
    import pyarrow

    outcome = _chunks(given, options)
    if outcome.error:
        return outcome
    assert given.piece is not None
    out = io.BytesIO()
    made: list[Any] = []
    rows = Rows(options["level"], made.append)
    rows.add_all(given.piece, [Chunks.from_bytes(body) for body in outcome.body])
    rows.flush()
    with pyarrow.ipc.new_stream(out, made[0].schema) as stream:
        for table in made:
            stream.write_table(table)
    return Outcome(given.name, outcome.sha256, None, (out.getvalue(),))


TASKS: Final[dict[str, Callable[[Input, Mapping[str, Any]], Outcome]]] = {
    "identify": _identify,
    "genre": _genre,
    "chunks": _chunks,
    "rows": _rows,
}


def place_of(source: Source) -> str:
    """Where a worker finds a path: from the root of its file system; addresses as they are."""
    name = name_of(source) or ""
    return name if is_remote(name) else os.path.abspath(name)
