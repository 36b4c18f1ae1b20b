"""Pieces that are being composed: each a job in a worker of its own, of which bars can be had while the rest is written.

A job keeps its events, so that whoever asks late is told everything from the beginning. It is stopped when somebody says so, when its time
is up, or when nobody has asked about it for a while: a page that was closed leaves no work behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal

from starlette.exceptions import HTTPException

from fugato.errors import FugatoError
from fugato.serve.folder import WorkFolder
from fugato.serve.pool import FaultError, Pool
from fugato.serve.problems import FAULT, problem_of
from fugato.serve.settings import Settings

log = logging.getLogger(__name__)

Status = Literal["waiting", "writing", "done", "failed", "stopped"]
OVER: Final = ("done", "failed", "stopped")
FORMATS: Final = ("mid", "musicxml", "wav", "png")
LOOK: Final = 1.0  # seconds between two looks whether somebody still asks
GRACE: Final = 10.0  # seconds in which somebody who was listening may come back
COME_AGAIN: Final = 15  # seconds after which a job may find a place


class Job:
    """One call for new music.

    Attributes
    ----------
    id : str
        Nobody can guess it.
    folder : Path
        Its seed and what came of it.
    options : dict
        As they were asked.
    status : "waiting", "writing", "done", "failed" or "stopped"
    events : list of dict
        The bars so far, those of the seed first.
    pieces : list of dict
        When it is done: the report of each piece, best first, with its files.
    problem : dict or None
        Why it failed.
    """

    def __init__(self, name: str, folder: Path, options: dict[str, Any]) -> None:
        self.id, self.folder, self.options = name, folder, options
        self.status: Status = "waiting"
        self.events: list[dict[str, Any]] = []
        self.pieces: list[dict[str, Any]] = []
        self.problem: dict[str, Any] | None = None
        self.listeners = 0
        self.asked = time.monotonic()  # when somebody last showed interest
        self.patience = 0.0  # seconds after that until it is stopped
        self.task: asyncio.Task[None] | None = None
        self.changed = asyncio.Condition()
        self.locks: dict[str, asyncio.Lock] = {}  # a file is made once

    def to_dict(self) -> dict[str, Any]:
        """As the API tells it."""
        written = sum(not event["seed"] for event in self.events)
        out: dict[str, Any] = {"job": self.id, "status": self.status}
        of = self.options.get("bars_in_all")
        variations = self.options.get("variations", 1)
        out["progress"] = {"bars": written, "of": of * variations if of else None, "variations": variations}
        out["pieces"] = self.pieces
        out["problem"] = self.problem
        return out

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.status in OVER

    async def notify(self) -> None:
        """Wake those who wait for news."""
        async with self.changed:
            self.changed.notify_all()


class Jobs:
    """All jobs of a server.

    Parameters
    ----------
    settings : Settings
    folder : WorkFolder
    writers, answers, sounds : Pool
        What composes, what says who might have written it, and what plays and draws it.
    """

    def __init__(self, settings: Settings, folder: WorkFolder, writers: Pool, answers: Pool, sounds: Pool) -> None:
        self.settings, self.folder = settings, folder
        self.writers, self.answers, self.sounds = writers, answers, sounds
        self._jobs: dict[str, Job] = {}
        self._waker: set[asyncio.Task[None]] = set()
        self._watch = asyncio.create_task(self._watching())

    async def start(self, options: dict[str, Any], seed: tuple[Path, str] | None = None) -> Job:
        """Begin to compose as soon as a writer is free.

        Parameters
        ----------
        options : dict
            Those of `fugato.serve.work.compose`.
        seed : (Path, str), optional
            A file, which is moved to the job's folder, and what its sender calls it.

        Raises
        ------
        HTTPException
            429 where too many wait already.
        """
        waiting = sum(not job.is_over for job in self._jobs.values()) - self.settings.writers
        if waiting >= self.settings.waiting_jobs:
            raise HTTPException(
                429,
                f"{waiting} pieces wait to be written already; come again in a moment.",
                {"Retry-After": str(COME_AGAIN)},
            )
        name = secrets.token_urlsafe(12)
        job = Job(name, self.folder.job(name), options)
        job.patience = self.settings.patience
        if seed is not None:
            path, called = seed
            kept = job.folder / f"seed{path.suffix}"
            path.replace(kept)
            options.update(seed=str(kept), seed_name=called)
        self._jobs[name] = job
        self._forget_oldest()
        job.task = asyncio.create_task(self._write(job))
        return job

    def get(self, name: str) -> Job:
        """A job by its id; that somebody asks keeps it alive.

        Raises
        ------
        HTTPException
            404.
        """
        job = self._jobs.get(name)
        if job is None:
            raise HTTPException(
                404, "There is no such job; it may have been forgotten, since newer ones were finished."
            )
        job.asked = time.monotonic()
        job.patience = self.settings.patience
        return job

    async def stop(self, job: Job) -> None:
        """Stop it, if it is not over, and free its writer."""
        if job.task is not None and not job.is_over:
            job.status = "stopped"
            job.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await job.task
            await job.notify()

    async def follow(self, job: Job, after: int = 0) -> AsyncIterator[tuple[int, dict[str, Any]] | None]:
        """Its events from number `after` on as they come, each with its number; None now and then while there is none."""
        job.listeners += 1
        try:
            while True:
                while after < len(job.events):
                    yield after, job.events[after]
                    after += 1
                if job.is_over:
                    return
                async with job.changed:
                    if after == len(job.events) and not job.is_over:
                        try:
                            await asyncio.wait_for(job.changed.wait(), GRACE)
                        except TimeoutError:
                            pass
                if after == len(job.events) and not job.is_over:
                    yield None
        finally:
            job.listeners -= 1
            job.asked = time.monotonic()
            job.patience = min(GRACE, self.settings.patience)

    async def file(self, job: Job, name: str) -> tuple[Path, str]:
        """A file of a piece that is done, made when it is first asked for, and a name to save it under.

        Parameters
        ----------
        name : str
            Number of the variation and format: "1.mid".
        """
        number, _, form = name.partition(".")
        piece = next((p for p in job.pieces if str(p["variation"]) == number), None)
        if piece is None or form not in FORMATS:
            raise HTTPException(404, "The job has no such file.")
        out = job.folder / name
        async with job.locks.setdefault(name, asyncio.Lock()):
            if not out.is_file():
                part = job.folder / f"{number}.part.{form}"
                await (self.sounds if form in ("wav", "png") else self.answers).run(
                    "file_of_piece",
                    seconds=self.settings.sound_seconds,
                    path=str(job.folder / f"{number}.score"),
                    report={key: value for key, value in piece.items() if key not in OWN},
                    options=piece["options"],
                    out=str(part),
                )
                part.replace(out)
        return out, f"{piece['name']}.{form}"

    async def close(self) -> None:
        """Stop all of them."""
        self._watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watch
        for job in self._jobs.values():
            await self.stop(job)

    async def _write(self, job: Job) -> None:
        def began() -> None:
            job.status = "writing"
            self._wake(job)

        def tell(event: dict[str, Any]) -> None:
            if "bars_in_all" in event:
                job.options["bars_in_all"] = event["bars_in_all"]
            else:
                job.events.append(event)
            self._wake(job)

        try:
            options = {key: value for key, value in job.options.items() if key != "bars_in_all"}
            seconds = self.settings.job_seconds
            found = await self.writers.run(
                "compose", seconds=seconds, tell=tell, began=began, folder=str(job.folder), **options
            )
            job.pieces = [await self._shown(job, piece) for piece in json.loads(found)]
            job.status = "done"
        except FugatoError as error:
            job.status, job.problem = "failed", problem_of(error)
        except FaultError:
            job.status = "failed"
            job.problem = {"type": "about:blank", "title": "Internal Server Error", "status": 500, "detail": FAULT}
            job.problem |= {"kind": None, "input": None}
        finally:
            if not job.is_over:
                job.status = "stopped"
            job.asked = time.monotonic()
            self._wake(job)

    async def _shown(self, job: Job, piece: dict[str, Any]) -> dict[str, Any]:
        """The report of a piece with who is named as the composer of its new bars, and where its files are."""
        number = piece["variation"]
        try:
            path = str(job.folder / f"{number}.new")
            answer = await self.answers.run("identify_score", seconds=self.settings.answer_seconds, path=path)
            piece["answer"] = json.loads(answer)
        except (FugatoError, FaultError) as error:
            log.warning("the new piece is not judged: %s", error)
            piece["answer"] = None
        piece["files"] = {form: f"/api/compose/{job.id}/{number}.{form}" for form in FORMATS}
        return piece

    def _wake(self, job: Job) -> None:
        task = asyncio.create_task(job.notify())
        self._waker.add(task)
        task.add_done_callback(self._waker.discard)

    async def _watching(self) -> None:
        """Stop jobs that nobody asks about."""
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            for job in list(self._jobs.values()):
                if not job.is_over and not job.listeners and now - job.asked > job.patience:
                    log.info("nobody asks about job %s: it is stopped", job.id)
                    await self.stop(job)

    def _forget_oldest(self) -> None:
        over = [job for job in self._jobs.values() if job.is_over and not job.listeners]
        for job in over[: max(len(over) - self.settings.kept_jobs, 0)]:
            del self._jobs[job.id]
            shutil.rmtree(job.folder, ignore_errors=True)


OWN: Final = ("variation", "name", "answer", "files", "options", "task")  # of a piece, besides its report
