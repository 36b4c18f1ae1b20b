"""Batches of inputs handed out to Dask workers, and each answer taken exactly once.

The scheduler gives the batches of a worker that has died to others. What it cannot see is a worker that is there and does not move
(stopped, swapping, cut off): one of which nothing was heard for a while gets a second copy of its batches started elsewhere, and
whichever copy ends first counts (backup tasks, after Dean and Ghemawat, "MapReduce", OSDI 2004). A batch that brings down several
workers is taken apart, so that one input alone is blamed. As this process alone takes answers, none is taken twice.

Times and the size of batches can be set as any of Dask's settings, under ``fugato``: DASK_FUGATO__SILENT=10s.
"""

from __future__ import annotations

import itertools
import queue
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, NamedTuple

from fugato.errors import FugatoError
from fugato.scale.work import Input, Outcome, Task, do, refusal

SILENT: Final = "30s"  # without a sign of life of a worker, after which its batches are started elsewhere too
CONNECT: Final = "30s"  # for the scheduler to answer, and for a first worker
LOST: Final = "600s"  # without an answer while no worker gives a sign of life, after which the run ends
LARGEST: Final = 32  # inputs of a batch: about a second of work, so that handing out costs little
PARTS: Final = 200  # batches that a thread does in a run at least, so that a kill repeats little
AHEAD: Final = 2  # batches that wait on a worker for each of its threads
ATTEMPTS: Final = 3  # of an input that brings down workers


class Done(NamedTuple):
    """What became of one input, and how often it was handed out until then."""

    outcome: Outcome
    attempt: int


@dataclass
class _Batch:
    number: int
    inputs: Sequence[Input]
    attempt: int = 0  # how often handed out
    futures: dict[str, Any] = field(default_factory=dict)  # by key


@contextmanager
def connected(scheduler: str, jobs: int | None = None) -> Iterator[Any]:
    """A client of the scheduler at an address, or with "local" of a cluster of processes on this machine that ends with it.

    Raises
    ------
    FugatoError
        ``bad-option`` where nobody answers, or Dask is not installed.
    """
    try:
        import dask

        distributed: Any = import_module("distributed")
    except ImportError:
        raise FugatoError(
            "bad-option", 'Runs on several machines need Dask; install it with: pip install "fugato[scale]".'
        ) from None
    patience = dask.utils.parse_timedelta(dask.config.get("fugato.connect", CONNECT))
    with _quiet():
        if scheduler == "local":
            cluster = distributed.LocalCluster(
                n_workers=jobs, threads_per_worker=1, dashboard_address=None, processes=True
            )
            with cluster, distributed.Client(cluster) as client:
                yield client
            return
        try:
            client = distributed.Client(scheduler, timeout=patience, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FugatoError(
                "bad-option",
                f"No scheduler answers there ({reason[:200]}). It is started with `dask scheduler`, which prints its address.",
                scheduler,
            ) from error
        try:
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=5)


def outcomes(
    client: Any, task: Task, inputs: Sequence[Input], *, batch: int | None = None, in_order: bool = False
) -> Iterator[Done]:
    """What became of each input, each exactly once, as the workers are done with them.

    Parameters
    ----------
    client : distributed.Client
    task : Task
    inputs : sequence of Input
    batch : int, optional
        Inputs of a task of the scheduler; by default as many as are worth it, and few where inputs are.
    in_order : bool
        In the order of the input, which keeps answers back behind a slow one.

    Raises
    ------
    FugatoError
        ``bad-option`` or ``bad-model`` where the workers are not fit for the run, ``timeout`` where the scheduler or all workers are gone.
    """
    if not inputs:
        return
    run = _Run(client, task, inputs, batch)
    try:
        run.begin()
        done = run.results()
        for one in _ordered(done) if in_order else done:
            yield from one[1]
    finally:
        run.end()


def _ordered(results: Iterator[tuple[int, list[Done]]]) -> Iterator[tuple[int, list[Done]]]:
    kept: dict[int, list[Done]] = {}
    following = 0
    for number, done in results:
        kept[number] = done
        while following in kept:
            yield following, kept.pop(following)
            following += 1


class _Run:
    """One run of one client."""

    def __init__(self, client: Any, task: Task, inputs: Sequence[Input], batch: int | None) -> None:
        import dask

        def seconds(name: str, default: str) -> float:
            return float(dask.utils.parse_timedelta(dask.config.get(f"fugato.{name}", default)))

        self._client, self._task, self._inputs = client, task, inputs
        self._size = batch or int(dask.config.get("fugato.batch", 0))
        self._silent, self._lost = seconds("silent", SILENT), seconds("lost", LOST)
        self._connect = seconds("connect", CONNECT)
        self._name = uuid.uuid4().hex[:12]
        self._ready: queue.SimpleQueue[tuple[_Batch, str, Any]] = queue.SimpleQueue()
        self._collect = ThreadPoolExecutor(4, thread_name_prefix="fugato-collect")
        self._open: dict[int, _Batch] = {}
        self._parts: dict[int, tuple[int, list[Done]]] = {}  # of a batch taken apart: inputs missing, what is done
        self._of: dict[int, int] = {}  # part -> the batch that it was taken from
        self._heard: dict[
            str, tuple[float, float]
        ] = {}  # worker -> its last sign of life by its own clock, and by ours
        self._threads = 1
        self._looked = self._alive = time.monotonic()

    def begin(self) -> None:
        """Wait for a first worker. Whether it is fit shows with its first batch: one that does not move must hold nothing up."""
        try:
            self._client.wait_for_workers(1, timeout=self._connect)
        except TimeoutError:
            raise FugatoError(
                "bad-option", "The scheduler has no workers; start some with `dask worker ADDRESS`."
            ) from None
        self._look()
        self._size = self._size or max(1, min(LARGEST, len(self._inputs) // (PARTS * self._threads)))

    def results(self) -> Iterator[tuple[int, list[Done]]]:
        """Number of each batch and what became of its inputs, as batches end."""
        size = self._size or 1
        waiting = deque(
            _Batch(number, self._inputs[start : start + size])
            for number, start in enumerate(range(0, len(self._inputs), size))
        )
        numbers = itertools.count(len(waiting))
        while waiting or self._open:
            while waiting and len(self._open) < (1 + AHEAD) * self._threads:
                batch = waiting.popleft()
                self._open[batch.number] = batch
                self._submit(batch)
            if time.monotonic() - self._looked > min(self._silent / 4, 5):
                self._look()
                self._back_up()
            try:
                batch, key, result = self._ready.get(timeout=min(self._silent / 4, 1))
            except queue.Empty:
                continue
            if batch.number not in self._open or key not in batch.futures:
                continue  # another copy was faster
            if isinstance(result, BaseException):
                del batch.futures[key]
                self._failed(batch, key, result, waiting, numbers)
                continue
            self._close(batch)
            yield from self._whole(batch.number, [Done(outcome, batch.attempt) for outcome in result])

    def end(self) -> None:
        """Leave nothing behind on the scheduler."""
        for batch in self._open.values():
            with suppress(Exception):
                self._client.cancel(list(batch.futures.values()), asynchronous=False)
        self._open.clear()
        self._collect.shutdown(wait=False, cancel_futures=True)

    # -- handing out ---------------------------------------------------------------------------------------------------

    def _submit(self, batch: _Batch, workers: Sequence[str] | None = None) -> None:
        batch.attempt += 1
        key = f"fugato-{self._task.what}-{self._name}-{batch.number}-{batch.attempt}"
        future = self._client.submit(
            do, self._task, list(batch.inputs), key=key, pure=False, workers=workers, allow_other_workers=False
        )
        batch.futures[key] = future
        future.add_done_callback(lambda found: self._done(batch, key, found))

    def _done(self, batch: _Batch, key: str, future: Any) -> None:
        with suppress(RuntimeError):  # the run has ended
            self._collect.submit(self._fetch, batch, key, future)

    def _fetch(self, batch: _Batch, key: str, future: Any) -> None:
        """The result of a future; a worker may stop between its end and this."""
        try:
            result = future.result(timeout=max(self._silent, 1))
        except BaseException as error:  # noqa: BLE001 (told to the thread that waits)
            result = error
        self._ready.put((batch, key, result))

    def _close(self, batch: _Batch) -> None:
        del self._open[batch.number]
        futures = list(batch.futures.values())
        batch.futures.clear()
        for future in futures:
            future.release()

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def _failed(
        self, batch: _Batch, key: str, error: BaseException, waiting: deque[_Batch], numbers: Iterator[int]
    ) -> None:
        if isinstance(error, FugatoError):
            raise error
        if self._client.status not in ("running", "connecting"):
            raise FugatoError(
                "timeout", "The scheduler is gone. What is answered is kept; run it again with --resume."
            ) from error
        if isinstance(error, ModuleNotFoundError):
            raise self._unfit(error) from error
        if batch.futures:  # a copy of it is still under way
            return
        if type(error).__name__ not in ("KilledWorker", "TimeoutError") and batch.attempt < ATTEMPTS:
            self._submit(batch)
        elif type(error).__name__ == "TimeoutError" and batch.attempt < 2 * ATTEMPTS:
            self._submit(batch, self._awake())
        elif len(batch.inputs) > 1:
            self._take_apart(batch, waiting, numbers)
        else:
            message = f"It brings down the processes that read it, {ATTEMPTS} times ({type(error).__name__})."
            refused = refusal(self._task, batch.inputs[0].name, "corrupt", message)
            key = f"{key}-given-up"
            batch.futures[key] = _Nothing()
            self._ready.put((batch, key, [refused]))

    def _take_apart(self, batch: _Batch, waiting: deque[_Batch], numbers: Iterator[int]) -> None:
        self._close(batch)
        self._parts[batch.number] = (len(batch.inputs), [])
        for given in batch.inputs:
            part = _Batch(next(numbers), [given], batch.attempt)
            self._of[part.number] = batch.number
            waiting.appendleft(part)

    def _whole(self, number: int, done: list[Done]) -> Iterator[tuple[int, list[Done]]]:
        """A batch and what became of it; that of a part when its batch is whole again."""
        origin = self._of.pop(number, None)
        if origin is None:
            yield number, done
            return
        missing, known = self._parts.pop(origin)
        known += done
        if missing > 1:
            self._parts[origin] = (missing - 1, known)
        else:
            yield origin, known

    def _look(self) -> None:
        """Which workers there are, and when each was heard last."""
        self._looked = time.monotonic()
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception as error:
            raise FugatoError(
                "timeout", "The scheduler is gone. What is answered is kept; run it again with --resume."
            ) from error
        self._threads = max(sum(int(facts.get("nthreads", 1)) for facts in workers.values()), 1)
        now = time.monotonic()
        heard = {}
        for address, facts in workers.items():
            sign = float(facts.get("last_seen", 0.0))
            before = self._heard.get(address)
            heard[address] = before if before is not None and before[0] == sign else (sign, now)
        self._heard = heard

    def _awake(self) -> list[str] | None:
        """Workers that gave a sign of life; None where all or none did."""
        now = time.monotonic()
        awake = [address for address, (_, seen) in self._heard.items() if now - seen < self._silent]
        return awake if 0 < len(awake) < len(self._heard) else None

    def _back_up(self) -> None:
        """Start what silent workers have in hand on others too."""
        now = time.monotonic()
        if any(now - seen < self._silent for _, seen in self._heard.values()):
            self._alive = now
        elif now - self._alive > self._lost:
            raise FugatoError(
                "timeout",
                f"No worker has given a sign of life for {self._lost:.0f} seconds. What is answered is kept; run it again with --resume.",
            )
        awake = self._awake()
        if awake is None:
            return
        silent = [address for address in self._heard if address not in awake]
        stuck = {key for keys in self._client.processing(silent).values() for key in keys}
        for batch in list(self._open.values()):
            if batch.futures and stuck.issuperset(batch.futures):
                self._submit(batch, awake)

    def _unfit(self, error: Exception) -> FugatoError:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return FugatoError(
            "bad-option", f"A worker cannot run Fugato ({reason}). Install the same version of it on every machine."
        )


class _Nothing:
    """In the place of a future."""

    def release(self) -> None:
        """Nothing is held."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own messages are for its operator; what a run ends with is said once, by Fugato."""
    import logging

    loggers = [logging.getLogger(name) for name in ("distributed", "tornado.application", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logger.level, logging.CRITICAL))
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
