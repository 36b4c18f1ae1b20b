"""Many files, one answer each: worker processes fed by threads, in the order of the input, never ahead by more than a
few."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

from fugato.errors import FugatoError
from fugato.read.files import Source, bytes_of, name_of
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.parse import parse_found
from fugato.read.reader import Reader, Result, shared
from fugato.read.sniff import Found, sniff

AHEAD: Final = 4  # files a worker that may be read before they are asked for
IN_PROCESS: Final = 1_000_000  # bytes of a MIDI file up to which its reader, plain NumPy, runs in this process


class Item(NamedTuple):
    """What became of one source.

    `sha256` is that of the bytes that were read, "" where they could not be. `result` is a Score (bytes with `then`)
    or the FugatoError that refused it; for a book of tunes it is that of the first, and `tunes` has them all.
    """

    source: Source
    sha256: str
    result: Result
    tunes: tuple[Result, ...] = ()


def read_many(
    sources: Iterable[Source],
    *,
    jobs: int = 1,
    then: str | None = None,
    options: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Item]:
    """Read many files, each in a process of its own that a bad file can take down without harm to the others.

    Parameters
    ----------
    sources : iterable of paths, bytes or binary file objects
        Taken as they are needed; it may be endless.
    jobs : int
        Worker processes.
    then : str, optional
        ``"package.module:function"``, called in the worker as ``function(score, *, name, sha256, **options) ->
        bytes`` so that analysis runs there too.
    options : mapping, optional
        JSON values for `then`.

    Yields
    ------
    Item
        One for each source, in order. A file that cannot be read, takes too long or crashes its worker has a
        FugatoError as result, and the run goes on.

    Raises
    ------
    RuntimeError
        When `then` cannot be loaded.
    """
    if jobs < 1:
        raise FugatoError("bad-option", f"{jobs} jobs; there must be at least 1.")
    readers: SimpleQueue[Reader] = SimpleQueue()
    made = [Reader(limits) for _ in range(jobs)] if jobs > 1 or then is not None else []
    for reader in made or [shared()]:  # one reader alone lives on: asked about file after file, it starts once
        readers.put(reader)

    def one(source: Source) -> Item:
        reader = readers.get()
        try:
            return read_item(
                source, reader, then=then, options=options, limits=limits, nearby=jobs == 1 and then is None
            )
        finally:
            readers.put(reader)

    pool = ThreadPoolExecutor(jobs, thread_name_prefix="fugato-read")
    pending: deque[Future[Item]] = deque()
    try:
        for source in sources:
            pending.append(pool.submit(one, source))
            if len(pending) >= AHEAD * jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for reader in made:
            reader.close()


def read_item(
    source: Source,
    reader: Reader,
    *,
    then: str | None = None,
    options: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    nearby: bool = False,
) -> Item:
    """What becomes of one source, by a worker process of one's own; a refusal is a result. Parameters as in `read_many`.

    With `nearby`, small MIDI is read in this process.
    """
    name, sha256 = name_of(source), ""
    try:
        data = bytes_of(source, name, limits)
        sha256 = hashlib.sha256(data).hexdigest()
        found = sniff(data, name)
        results: list[Result]
        if nearby and is_harmless(found):
            results = [*parse_found(found, limits)]
        else:
            results = reader.run(
                data, name=name or "", sha256=sha256, then=then, options=options, every=True, limits=limits
            )
    except FugatoError as e:
        return Item(source, sha256, FugatoError(e.kind, e.message, name))
    return Item(source, sha256, results[0], tuple(results) if len(results) > 1 else ())


def is_harmless(found: Found) -> bool:
    """Whether the reader of this format is plain NumPy with bounded time and memory, and may run in any process."""
    return found.format == "midi" and len(found.data) <= IN_PROCESS
