"""The running server: its folder, its workers by what they are for, and what a route does with them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from fastapi import Request, UploadFile
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from fugato.errors import FugatoError
from fugato.serve.folder import WorkFolder, suffix_of
from fugato.serve.jobs import Jobs
from fugato.serve.pool import Pool
from fugato.serve.settings import Settings

log = logging.getLogger(__name__)

LONGEST_NAME: Final = 255  # characters of an upload's name that come back
AT_ONCE: Final = (
    2  # files of one request that are asked about at the same time, so that many files leave room for others
)
COPY: Final = 1 << 20
GIVING_WAY: Final = 5  # niceness of work that takes long
IDLE: Final = 60.0  # seconds after which a worker that is not needed is ended

Result = TypeVar("Result")


class Upload(NamedTuple):
    """A file that was sent: where the server keeps it, and what its sender calls it."""

    path: str
    name: str


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Server:
    """What lives as long as the server runs.

    Attributes
    ----------
    answers, sounds, writers, ears : Pool
        For notes; for recordings, which take longer; for composing, which gives way to the others; for what is being played.
    jobs : Jobs
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = WorkFolder(settings.place())
        self._before = tempfile.tempdir
        tempfile.tempdir = str(self.folder.temporary)  # parts of a request that are too large for memory
        environment = self.folder.environment()
        memory, worn = settings.worker_bytes, settings.worn_bytes
        self.answers = Pool(settings.workers, environment, memory=memory, worn=worn, prepare=("warm", {}))
        self.sounds = Pool(1, environment, memory=memory, worn=worn, nice=GIVING_WAY)
        ready = ("warm_writer", {"model": settings.compose_model})
        self.writers = Pool(settings.writers, environment, memory=memory, worn=worn, nice=GIVING_WAY, prepare=ready)
        self.ears = Pool(1, environment, memory=memory, worn=worn)
        self.listeners = 0  # live connections
        self.jobs = Jobs(settings, self.folder, self.writers, self.answers, self.sounds)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to warm up; requests are answered meanwhile."""
        self._tasks = [asyncio.create_task(self._warm()), asyncio.create_task(self._rest())]

    async def _warm(self) -> None:
        await self.answers.warm(self.settings.workers)
        await self.writers.warm(1)

    async def _rest(self) -> None:
        """End workers that had nothing to do for a while."""
        while True:
            await asyncio.sleep(IDLE / 4)
            self.sounds.rest(0, IDLE)
            self.writers.rest(1, IDLE)
            if not self.listeners:
                self.ears.rest(0, IDLE)

    async def close(self) -> None:
        """Stop everything and remove the folder of this run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.jobs.close()
        await asyncio.gather(*(pool.close() for pool in (self.answers, self.sounds, self.writers, self.ears)))
        tempfile.tempdir = self._before
        self.folder.close()

    # -- one request -----------------------------------------------------------------------------------------------

    def check(self, files: Sequence[UploadFile], least: int = 1, most: int | None = None) -> None:
        """Refuse a request with too few or too many files."""
        most = self.settings.files if most is None else most
        if not least <= len(files) <= most:
            kind = "too-large" if len(files) > most else "bad-option"
            wanted = str(least) if least == most else f"{least} to {most}"
            raise FugatoError(kind, f"{len(files)} files were sent; here it takes {wanted}.")

    @contextlib.asynccontextmanager
    async def uploads(self, files: Sequence[UploadFile]) -> AsyncIterator[tuple[list[Upload], Path]]:
        """The files of a request in a folder of their own, which is removed afterwards."""
        folder = await asyncio.to_thread(self.folder.request)
        try:
            yield [await kept(file, folder, number) for number, file in enumerate(files)], folder
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def each(
        self, pool: Pool, call: str, uploads: Sequence[Upload], seconds: float, **options: Any
    ) -> list[bytes]:
        """A call for every file, `AT_ONCE` at a time, in the order of the files."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(upload: Upload) -> bytes:
            async with gate:
                try:
                    return await pool.run(call, seconds=seconds, path=upload.path, name=upload.name, **options)
                except FugatoError as error:
                    from fugato.serve.work import OF_THE_REQUEST, to_json

                    if error.kind in OF_THE_REQUEST:
                        raise
                    return to_json(FugatoError(error.kind, error.message, upload.name).to_dict())

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(upload)) for upload in uploads]
        return [task.result() for task in tasks]


async def kept(file: UploadFile, folder: Path, number: int) -> Upload:
    """A file that was sent, in a folder of the server's own."""
    name = (file.filename or "upload")[:LONGEST_NAME]
    path = folder / f"{number:03}{suffix_of(name)}"

    def copy() -> None:
        file.file.seek(0)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            shutil.copyfileobj(file.file, out, COPY)

    await asyncio.to_thread(copy)
    return Upload(str(path), name)


async def while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes away.

    Raises
    ------
    ClientGoneError
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    except BaseExceptionGroup as several:  # of a group of files: the first refusal says it
        # Not `except*`: what is raised in one is wrapped in a group again before Python 3.11.4.
        raise _first(several) from None
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group.subgroup(FugatoError) or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class FileOnce(FileResponse):
    """A file that is removed, with its folder, when it was sent or nobody takes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, os.path.dirname(self.path), ignore_errors=True))
