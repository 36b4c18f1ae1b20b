"""The routes about composing: jobs, their bars as they are written, their files, and what listeners think of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Header, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from fugato.errors import FugatoError
from fugato.models.names import home
from fugato.serve import catalogue, schemas
from fugato.serve.common import MEDIA, PROBLEMS, server_of
from fugato.serve.jobs import Job, Jobs
from fugato.serve.state import Server

router = APIRouter(responses=PROBLEMS, tags=["composing"])

STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Server-sent events: `bar` (a Bar), then `done` (the Job) or `error` (a Problem).",
    }
}
FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media: {} for media in MEDIA.values()}, "description": "The file."}
}
_feedback = asyncio.Lock()


def checked(server: Server, options: schemas.ComposeOptions, seeded: bool) -> dict[str, Any]:
    """The options of a job, checked as far as nothing has to be read for it.

    Raises
    ------
    FugatoError
        ``bad-option``, ``no-model``, ``bad-model``.
    """
    given = options.model_dump(include=set(schemas.ComposeOptions.model_fields), exclude_none=True)
    if options.model is not None:
        catalogue.check_model(options.model)
    given["model"] = options.model or server.settings.compose_model
    catalogue.check_composes(given["model"])
    if options.infill is not None:
        first, _, last = options.infill.partition(":")
        given["infill"] = [int(first), int(last)]
        if not seeded and options.seed_composer is None:
            raise FugatoError("bad-option", "Bars can be filled in where there is a piece: give it as the seed.")
    if options.seed_bars is not None:
        if not seeded and options.seed_composer is None:
            raise FugatoError("bad-option", "There is no seed of which bars could be kept.")
        if options.infill is not None:
            raise FugatoError("bad-option", "Bars are filled in within the whole piece; leave seed_bars out.")
    if options.keep is not None and options.keep > options.variations:
        raise FugatoError("bad-option", f"Of {options.variations} variations {options.keep} cannot be kept.")
    if options.bars is not None and options.seconds is not None:
        raise FugatoError("bad-option", "Give bars or seconds, not both.")
    if seeded and options.seed_composer is not None:
        raise FugatoError("bad-option", "Give a seed or a composer to take one from, not both.")
    return given


@router.post("/api/compose", response_model=schemas.Job, status_code=202)
async def compose(
    request: Request, options: Annotated[schemas.ComposeForm, Form(media_type="multipart/form-data")]
) -> dict[str, Any]:
    """Start to compose. The job is asked about by its id; it is stopped when nobody does so for a while."""
    server = server_of(request)
    seed = options.seed if options.seed is not None and (options.seed.filename or options.seed.size) else None
    given = checked(server, options, seed is not None)
    if seed is None:
        return (await server.jobs.start(given)).to_dict()
    async with server.uploads([seed]) as ((upload,), _):
        return (await server.jobs.start(given, (Path(upload.path), upload.name))).to_dict()


@router.get("/api/compose/stream", response_class=StreamingResponse, responses=STREAM)
async def stream(
    request: Request,
    options: Annotated[schemas.StreamOptions, Query()],
    last_event_id: Annotated[str | None, Header(description="Where a stream that was cut off goes on.")] = None,
) -> Response:
    """The bars of a job as they are written; without a job, one is started, and stopped when the stream is left."""
    server = server_of(request)
    name, after = options.job, 0
    if last_event_id is not None and ":" in last_event_id:
        name, _, number = last_event_id.rpartition(":")
        after = int(number) + 1 if number.isdecimal() and len(number) < 9 else 0
    job = server.jobs.get(name) if name is not None else await server.jobs.start(checked(server, options, False))
    return StreamingResponse(_events(server.jobs, job, after), media_type="text/event-stream")


async def _events(jobs: Jobs, job: Job, after: int) -> AsyncIterator[str]:
    yield f": job {job.id}\n\n"  # the headers and a first byte at once
    async for found in jobs.follow(job, after):
        if found is None:
            yield ": still there\n\n"
        else:
            number, event = found
            yield f"id: {job.id}:{number}\nevent: bar\ndata: {_line(event)}\n\n"
    if job.status == "done":
        yield f"event: done\ndata: {_line(job.to_dict())}\n\n"
    else:
        yield f"event: error\ndata: {_line(job.problem or _stopped())}\n\n"


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _stopped() -> dict[str, Any]:
    detail = "It was stopped."
    return {"type": "about:blank", "title": "Gone", "status": 410, "detail": detail, "kind": None, "input": None}


@router.get("/api/compose/{job}", response_model=schemas.Job)
async def status(request: Request, job: str) -> dict[str, Any]:
    """How far a job is, and what came of it."""
    return server_of(request).jobs.get(job).to_dict()


@router.delete("/api/compose/{job}", response_model=schemas.Job)
async def stop(request: Request, job: str) -> dict[str, Any]:
    """Stop a job. One that is over stays as it is."""
    jobs = server_of(request).jobs
    found = jobs.get(job)
    await jobs.stop(found)
    return found.to_dict()


@router.get("/api/compose/{job}/{file}", response_class=FileResponse, responses=FILE)
async def file(request: Request, job: str, file: str) -> Response:
    """A piece as MIDI, MusicXML, sound or picture: `1.mid`, `1.musicxml`, `1.wav`, `1.png`."""
    jobs = server_of(request).jobs
    path, called = await jobs.file(jobs.get(job), file)
    return FileResponse(path, media_type=MEDIA[path.suffix[1:]], filename=called)


@router.post("/api/feedback", status_code=204)
async def feedback(request: Request, verdict: schemas.Verdict) -> None:
    """What a listener thinks of a piece, for whoever trains the next model: a line of feedback.jsonl in FUGATO_HOME."""
    job = server_of(request).jobs.get(verdict.job)
    piece = next((p for p in job.pieces if p["variation"] == verdict.variation), None)
    if piece is None:
        raise FugatoError("bad-option", f"The job has no piece {verdict.variation}.")
    said = {"time": round(time.time(), 3), **verdict.model_dump(), "options": piece["options"], "piece": piece["name"]}
    path = home() / "feedback.jsonl"

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(said) + "\n")

    try:
        async with _feedback:
            await asyncio.to_thread(write)
    except OSError as error:
        raise FugatoError("bad-output", f"It cannot be written down ({error.strerror or error}).") from error
