"""Many inputs, an answer each: on a cluster, or in this process where only their place is elsewhere."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

from fugato.composer.identify import options_of
from fugato.corpus import Corpus
from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.models.names import SHIPPED
from fugato.represent.chunks import SIZE, Chunks
from fugato.scale.cluster import Done, connected, outcomes
from fugato.scale.shards import Entry, Shards
from fugato.scale.work import Input, Outcome, Task, card_digest, do, place_of
from fugato.study.featurise import Progress, Read, no_chunks

AHEAD: Final = 3  # inputs for each thread that are under way in this process


def answers(
    what: str,
    sources: Sequence[str | os.PathLike[str]],
    *,
    scheduler: str | None = None,
    model: str | os.PathLike[str],
    fuse: Sequence[str | os.PathLike[str]] = (),
    jobs: int | None = None,
    batch: int | None = None,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """The contract's JSON object for each input, answers and errors alike, as they are done.

    Parameters
    ----------
    what : "identify" or "genre"
    sources : sequence of paths and addresses
        Workers must find paths where this machine does; addresses are those of fsspec.
    scheduler : str, optional
        Where Dask's scheduler listens (``tcp://host:8786``), or "local" for a cluster of processes on this machine. Without it the
        inputs are answered by `jobs` threads of this process, each with a reading process of its own.
    model, fuse
        As for `fugato.identify`. Folders must be where the workers find them.
    batch : int, optional
        Inputs of a task of the scheduler.
    **options
        Further ones of `identify_many` or `genre_many`.

    Yields
    ------
    dict
        With ``attempt`` where an input was handed out more than once.

    Raises
    ------
    FugatoError
        As `fugato.scale.cluster.outcomes`; ``bad-data`` where the workers do not find files that are here.
    """
    first, others = _found_by_workers(model), [_found_by_workers(other) for other in fuse]
    asked = options_of(first, fuse=others, **options) if what == "identify" else {"model": first, **options}
    task = Task(what, asked, {name: card_digest(name) for name in (first, *others)})
    inputs = [Input(os.fspath(source), place_of(source)) for source in sources]
    for done in _done(task, inputs, scheduler, jobs, batch):
        (body,) = done.outcome.body
        answer: dict[str, Any] = json.loads(body)
        if scheduler is not None:
            _check_seen(done.outcome)
        if done.attempt > 1:
            answer["attempt"] = done.attempt
        yield answer


def read_chunks(
    corpus: Corpus,
    *,
    scheduler: str | None = None,
    size: int = SIZE,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Read]:
    """The chunks of every piece of a collection, in its order: `fugato.study.featurise.read_chunks` by a cluster."""
    by_id = {piece.id: piece for piece in corpus}
    task = Task("chunks", {"size": size})
    for count, done in enumerate(_done(task, _pieces(corpus), scheduler, jobs, None, in_order=True), 1):
        outcome = done.outcome
        if progress is not None:
            progress(count, len(corpus))
        if outcome.error:
            yield Read(by_id[outcome.name], FugatoError(*outcome.error, outcome.name))
        else:
            yield Read(by_id[outcome.name], tuple(Chunks.from_bytes(body) for body in outcome.body))


def featurise_shards(
    corpus: Corpus,
    shards: Shards,
    *,
    level: str = "chunk",
    size: int = SIZE,
    scheduler: str | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Write the feature table of a collection as shards, going on where they stop.

    Parameters as for `fugato.study.featurise.featurise`, and `answers`. The rows are made by the workers.

    Returns
    -------
    tuple of int
        Pieces with a row at least, and pieces without.

    Raises
    ------
    FugatoError
        As that function and `answers`.
    """
    import pyarrow

    missing = set(shards.left(corpus.ids))
    left = [given for given in _pieces(corpus) if given.name in missing]
    task = Task("rows", {"level": level, "size": size})
    refused: list[tuple[str, str, str, str]] = []
    with closing(_done(task, left, scheduler, jobs, None)) as results:
        for count, done in enumerate(results, len(corpus) - len(left) + 1):
            outcome = done.outcome
            table = None
            if outcome.error:
                refused.append((outcome.name, "", *outcome.error))
            else:
                table = pyarrow.ipc.open_stream(io.BytesIO(outcome.body[0])).read_all()
            shards.add(Entry(outcome.name, outcome.sha256, outcome.error, done.attempt), table)
            if progress is not None:
                progress(count, len(corpus))
    shards.flush()
    if not shards.answered:
        raise no_chunks(corpus, refused, size)
    return shards.answered, len(shards.done) - shards.answered


def _pieces(corpus: Corpus) -> list[Input]:
    return [Input(piece.id, place_of(piece.path), piece) for piece in corpus]


def _done(
    task: Task,
    inputs: Sequence[Input],
    scheduler: str | None,
    jobs: int | None,
    batch: int | None,
    in_order: bool = False,
) -> Generator[Done, None, None]:
    if not inputs:
        return
    if scheduler is None:
        yield from _here(task, inputs, jobs)
        return
    with connected(scheduler, jobs) as client:
        yield from outcomes(client, task, inputs, batch=batch, in_order=in_order)


def _here(task: Task, inputs: Sequence[Input], jobs: int | None) -> Iterator[Done]:
    """By threads of this process, in the order of the input."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = jobs or n_cores
    with ThreadPoolExecutor(threads, thread_name_prefix="fugato-scale") as pool:
        waiting = []
        for given in inputs:
            waiting.append(pool.submit(do, task, [given]))
            if len(waiting) >= AHEAD * threads:
                yield Done(waiting.pop(0).result()[0], 1)
        for result in waiting:
            yield Done(result.result()[0], 1)


def _found_by_workers(model: str | os.PathLike[str]) -> str:
    """A model as a worker finds it: the name of a shipped one, else its folder. It is refused here, before anything is handed out."""
    folder = load_model(model).folder
    return folder.name if folder.parent == SHIPPED else os.path.abspath(folder)


def _check_seen(outcome: Outcome) -> None:
    """Stop where a worker does not find a file that is here: the folder is not shared, and no other will be found."""
    if outcome.error and outcome.error[1] == "There is no such file." and os.path.isfile(outcome.name):
        raise FugatoError(
            "bad-data",
            "A worker does not find it, though it is here. Give files on a file system that all machines share, or an address such as "
            "s3://bucket/folder/.",
            outcome.name,
        )
