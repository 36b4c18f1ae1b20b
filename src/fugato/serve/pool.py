"""Worker processes for the event loop: a call is sent to one that is free, and ended by force when nobody waits for it any more.

Everything that takes long or touches untrusted bytes runs in such a process, so that the loop goes on answering, a client that leaves
frees the machine at once, and what brings a process down costs one request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from fugato.errors import FugatoError
from fugato.read.deadline import Allowance
from fugato.read.frames import MAX_FRAME

log = logging.getLogger(__name__)

START_SECONDS: Final = 60.0
SINGLE_THREADED: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Tell = Callable[[dict[str, Any]], None]


class FaultError(Exception):
    """A fault of the program's own in a worker; the message is for its log, not for users."""


class Worker:
    """One process.

    Parameters
    ----------
    environment : mapping
        Variables besides those of this process.
    memory : int
        Bytes that it may hold.
    nice : int
        How far it gives way to others, 0 to 19.
    prepare : (str, dict), optional
        A function and its arguments that every new process is called with first, so that what is loaded on first use is there.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        memory: int,
        nice: int = 0,
        prepare: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        self.environment, self.memory, self.nice, self.prepare = dict(environment), memory, nice, prepare
        self.resident = 0  # bytes, after its last answer
        self.used = time.monotonic()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the process while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def call(self, name: str, arguments: Mapping[str, Any], tell: Tell | None = None) -> bytes:
        """What the function of `fugato.serve.work` gives; whatever ends this early, also from outside, ends the process."""
        try:
            process = await self._started()
            assert process.stdin is not None
            process.stdin.write(frame({"call": name, "arguments": dict(arguments)}))
            await process.stdin.drain()
            while True:
                header, blobs = await self._receive(process)
                if "event" not in header:
                    break
                if tell is not None:
                    tell(header["event"])
        except (EOFError, OSError) as error:
            status = await self._gone()
            log.warning("the worker ended with status %s in %s", status, name)
            if status == -9:
                raise FugatoError("too-large", "It needs more memory than this machine has left.") from error
            raise FugatoError("corrupt", "It brings down the program that reads it, so it is left alone.") from error
        except BaseException:
            self.kill()
            raise
        self.resident = int(header.get("resident", 0))
        if "error" in header:
            raise FugatoError(*header["error"])
        if "fault" in header:
            log.error("%s: %s", name, header["trace"])
            raise FaultError(header["fault"])
        return blobs[0]

    async def start(self) -> None:
        """Start the process, if it does not run. What ends this early ends the process."""
        try:
            await self._started()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process at once; the next call starts another."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            try:
                process.kill()
            except ProcessLookupError:
                pass

    async def close(self) -> None:
        """End the process and wait until it is gone."""
        process = self._process
        self.kill()
        if process is not None:
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        process = self._process
        if process is not None and process.returncode is None:
            return process
        path = [os.path.abspath(p) if p else os.getcwd() for p in sys.path]
        single = {name: os.environ.get(name, "1") for name in SINGLE_THREADED}
        own = {"PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1", "MPLBACKEND": "agg"}
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "fugato.serve.worker",
            str(self.memory),
            str(self.nice),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None if log.isEnabledFor(logging.DEBUG) else asyncio.subprocess.DEVNULL,
            env={**os.environ, **single, **own, **self.environment},
        )
        async with asyncio.timeout(START_SECONDS):
            await self._receive(process)
            if self.prepare is not None:
                assert process.stdin is not None
                name, arguments = self.prepare
                process.stdin.write(frame({"call": name, "arguments": arguments}))
                header, _ = await self._receive(process)
                if "done" not in header:
                    log.info("a worker is not prepared: %s", header)
        return process

    async def _gone(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        if process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), 1)
            except TimeoutError:
                process.kill()
                await process.wait()
        return process.returncode

    @staticmethod
    async def _receive(process: asyncio.subprocess.Process) -> tuple[dict[str, Any], list[bytes]]:
        """One message, framed as `fugato.read.frames` does."""
        assert process.stdout is not None
        try:
            (total,) = struct.unpack("<Q", await process.stdout.readexactly(8))
            if total > MAX_FRAME:
                raise EOFError("no message")
            body = await process.stdout.readexactly(total)
        except asyncio.IncompleteReadError as error:
            raise EOFError("the worker is gone") from error
        (size,) = struct.unpack_from("<I", body)
        header: dict[str, Any] = json.loads(body[4 : 4 + size])
        blobs, at = [], 4 + size
        for length in header.pop("sizes"):
            blobs.append(body[at : at + length])
            at += length
        return header, blobs


class Pool:
    """Workers of one kind; calls wait for a free one in the order they came.

    Parameters
    ----------
    size : int
    environment, memory, nice, prepare
        As `Worker`.
    worn : int
        Resident bytes beyond which a worker is replaced after its answer.
    """

    def __init__(
        self,
        size: int,
        environment: Mapping[str, str],
        *,
        memory: int,
        worn: int,
        nice: int = 0,
        prepare: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        self.workers = [Worker(environment, memory, nice, prepare) for _ in range(size)]
        self.worn = worn
        self.waiting = 0
        self._idle = deque(self.workers)
        self._free = asyncio.Semaphore(size)

    async def run(
        self,
        name: str,
        /,
        *,
        seconds: float,
        tell: Tell | None = None,
        began: Callable[[], None] | None = None,
        **arguments: Any,
    ) -> bytes:
        """Call a function of `fugato.serve.work` in a worker.

        Parameters
        ----------
        name : str
        seconds : float
            Of processor time that it may take, as `fugato.read.deadline` counts it; the waiting and the start of a worker do not count.
        tell : callable, optional
            Given the events that it sends on the way.
        began : callable, optional
            Called when a worker is free for it.
        arguments
            JSON values.

        Raises
        ------
        FugatoError
            Its own; ``timeout``; ``corrupt`` or ``too-large`` where the process went down.
        FaultError
        """
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        worker = self._idle.pop()  # the last one used: the others stay cold, and small
        try:
            try:
                await worker.start()
            except (EOFError, OSError, TimeoutError) as error:
                raise FaultError("a worker does not start") from error
            if began is not None:
                began()
            async with asyncio.timeout(None) as limit:
                watch = asyncio.create_task(_watch(worker, seconds, limit))
                try:
                    return await worker.call(name, arguments, tell)
                finally:
                    watch.cancel()
        except TimeoutError:
            raise FugatoError("timeout", f"It took longer than {seconds:g} seconds.") from None
        finally:
            if worker.resident > self.worn:
                worker.resident = 0
                worker.kill()
            worker.used = time.monotonic()
            self._idle.append(worker)
            self._free.release()

    async def warm(self, workers: int) -> None:
        """Start so many workers before anybody asks."""

        async def one() -> None:
            await self._free.acquire()
            worker = self._idle.pop()
            try:
                await worker.start()
            except (EOFError, OSError, TimeoutError) as error:
                log.warning("a worker does not start: %s", error)
            finally:
                self._idle.append(worker)
                self._free.release()

        await asyncio.gather(*(one() for _ in range(workers)))

    def rest(self, keep: int, seconds: float) -> None:
        """End the processes of idle workers, all but the `keep` used last, that had nothing to do for so long."""
        now = time.monotonic()
        for worker in list(self._idle)[: len(self._idle) - keep]:
            if now - worker.used > seconds:
                worker.kill()

    async def close(self) -> None:
        """End all workers."""
        await asyncio.gather(*(worker.close() for worker in self.workers))


async def _watch(worker: Worker, seconds: float, limit: asyncio.Timeout) -> None:
    """Let the limit be over as soon as the worker has used its time."""
    if worker.pid is not None:
        allowance = Allowance(worker.pid, seconds)
        await asyncio.sleep(seconds)
        while left := allowance.left():
            await asyncio.sleep(left)
    limit.reschedule(asyncio.get_running_loop().time())


def frame(header: dict[str, Any]) -> bytes:
    """A message without blobs, as `fugato.read.frames.send` writes it."""
    text = json.dumps({**header, "sizes": []}).encode()
    return struct.pack("<QI", 4 + len(text), len(text)) + text
