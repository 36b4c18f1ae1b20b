"""The routes: what comes in is checked against its schema and handed to a worker, what comes out is the command line's object.

`create_app` gives the application. The contract of every route is in its OpenAPI document, shown at /docs.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from fugato import __version__
from fugato.serve import catalogue, composing, live, schemas
from fugato.serve.common import MEDIA, PROBLEMS, document, server_of
from fugato.serve.guard import Guard
from fugato.serve.problems import install
from fugato.serve.settings import Settings
from fugato.serve.state import ClientGoneError, FileOnce, Server, while_there

PAGE: Final = Path(__file__).parent / "page"
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"

Files = Annotated[list[UploadFile], File(description="One file or more, each named as the answer shall name it.")]
Top = Annotated[int | None, Form(ge=1, le=1000, description="Names to keep of each ranking; all where left out.")]
ComposerModel = Annotated[str, Form(pattern=NAME, description="A shipped or local model.")]
GenreModel = Annotated[str, Form(pattern=NAME, description="A shipped or local model.")]

router = APIRouter(responses=PROBLEMS)


def joined(answers: list[bytes]) -> Response:
    """JSON objects as a JSON list."""
    return Response(b"[" + b",".join(answers) + b"]", media_type="application/json")


def as_json(content: bytes) -> Response:
    """A JSON object as it came from a worker."""
    return Response(content, media_type="application/json")


# -- answers -----------------------------------------------------------------------------------------------------------


@router.post("/api/identify", response_model=list[schemas.Answer | schemas.Refusal], tags=["answers"])
async def identify(
    request: Request,
    files: Files,
    explain: Annotated[bool, Form(description="Say which bars and patterns spoke for the name.")] = False,
    candidates: Annotated[str | None, Form(description="Choose between these only: A,B,C.", max_length=5000)] = None,
    top: Top = None,
    model: ComposerModel = "composer",
) -> Response:
    """Who wrote it: an answer, or an error object, for each file in turn."""
    server = server_of(request)
    server.check(files)
    catalogue.check_model(model)
    names = [name.strip() for name in candidates.split(",") if name.strip()] if candidates else None

    async def work() -> list[bytes]:
        async with server.uploads(files) as (uploads, _):
            return await server.each(
                server.answers,
                "identify",
                uploads,
                server.settings.answer_seconds,
                explain=explain,
                candidates=names,
                top=top,
                model=model,
            )

    return joined(await while_there(request, work()))


@router.post("/api/genre", response_model=list[schemas.Answer | schemas.Refusal], tags=["answers"])
async def genre(request: Request, files: Files, top: Top = None, model: GenreModel = "genre") -> Response:
    """Which genre a recording is, with its timeline: an answer, or an error object, for each file in turn."""
    server = server_of(request)
    server.check(files)
    catalogue.check_model(model)

    async def work() -> list[bytes]:
        async with server.uploads(files) as (uploads, _):
            seconds = server.settings.sound_seconds
            return await server.each(server.sounds, "genre", uploads, seconds, top=top, model=model)

    return joined(await while_there(request, work()))


@router.post("/api/compare", response_model=schemas.Comparison, tags=["answers"])
async def compare(request: Request, files: Files) -> Response:
    """How alike two pieces are in style, and whether they are the same work."""
    server = server_of(request)
    server.check(files, 2, 2)

    async def work() -> bytes:
        async with server.uploads(files) as (uploads, _):
            return await server.answers.run(
                "compare",
                seconds=server.settings.answer_seconds,
                paths=[upload.path for upload in uploads],
                names=[upload.name for upload in uploads],
            )

    return as_json(await while_there(request, work()))


@router.post("/api/map", response_model=schemas.StyleMap, tags=["answers"])
async def style_map(request: Request, files: Files, model: ComposerModel = "composer") -> Response:
    """Three pieces or more as a picture in which those lie near that are alike in style."""
    server = server_of(request)
    server.check(files, 3, server.settings.map_files)
    catalogue.check_model(model)

    async def work() -> bytes:
        async with server.uploads(files) as (uploads, _):
            seconds = server.settings.answer_seconds
            found = await server.each(server.answers, "place", uploads, seconds, model=model)
            return await server.answers.run("lay_out", seconds=seconds, places=[json.loads(place) for place in found])

    return as_json(await while_there(request, work()))


# -- seeing and hearing ------------------------------------------------------------------------------------------------


@router.post("/api/notes", response_model=schemas.Notes, tags=["files"])
async def notes(request: Request, files: Files) -> Response:
    """What a piano roll and a player need of a piece."""
    server = server_of(request)
    server.check(files, 1, 1)

    async def work() -> bytes:
        async with server.uploads(files) as ((upload,), _):
            seconds = server.settings.answer_seconds
            return await server.answers.run("notes", seconds=seconds, path=upload.path, name=upload.name)

    return as_json(await while_there(request, work()))


@router.post(
    "/api/convert",
    response_class=FileResponse,
    responses={200: {"content": {media: {} for media in MEDIA.values()}, "description": "The file."}},
    tags=["files"],
)
async def convert(
    request: Request,
    files: Files,
    to: Annotated[Literal["mid", "musicxml", "wav", "png"], Query(description="The format that is wanted.")],
) -> Response:
    """A piece as MIDI, MusicXML, sound or a picture of its piano roll."""
    server = server_of(request)
    server.check(files, 1, 1)
    loud = to in ("wav", "png")
    pool = server.sounds if loud else server.answers
    seconds = server.settings.sound_seconds if loud else server.settings.answer_seconds

    async def work() -> Path:
        async with server.uploads(files) as ((upload,), _):
            folder = server.folder.request()
            try:
                out = folder / f"out.{to}"
                await pool.run("convert", seconds=seconds, path=upload.path, name=upload.name, out=str(out))
                return out
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

    out = await while_there(request, work())
    stem = Path(files[0].filename or "piece").stem or "piece"
    return FileOnce(out, media_type=MEDIA[to], filename=f"{stem}.{to}")


@router.post("/api/sound", response_model=schemas.Sound, tags=["files"])
async def sound(request: Request, files: Files) -> Response:
    """The waveform and the mel spectrogram of a recording, in at most 2,000 columns."""
    server = server_of(request)
    server.check(files, 1, 1)

    async def work() -> bytes:
        async with server.uploads(files) as ((upload,), _):
            seconds = server.settings.sound_seconds
            return await server.sounds.run("sound", seconds=seconds, path=upload.path, name=upload.name)

    return as_json(await while_there(request, work()))


# -- what there is -----------------------------------------------------------------------------------------------------


@router.get("/health", response_model=schemas.Health, tags=["what there is"])
async def health(request: Request) -> dict[str, Any]:
    """That the server answers, and what it takes."""
    settings = server_of(request).settings
    limits = {"files": settings.files, "map_files": settings.map_files, "bytes": settings.request_bytes}
    return {"status": "ok", "version": __version__, "limits": limits}


@router.get("/api/models", response_model=list[schemas.Card], tags=["what there is"])
def models() -> list[dict[str, Any]]:
    """The cards of the shipped and local models."""
    return catalogue.cards()


@router.get("/api/models/{name}", response_model=schemas.Card, tags=["what there is"])
def model(name: str) -> dict[str, Any]:
    """The card of one model."""
    return catalogue.card(name)


@router.get("/api/models/{name}/figures", response_model=dict[str, Any], tags=["what there is"])
def model_figures(name: str) -> dict[str, Any]:
    """What was measured of a model on pieces it had not seen, with its confusion matrix."""
    return catalogue.figures(name)


@router.get("/api/composers", response_model=schemas.Composers, tags=["what there is"])
def composers(request: Request) -> dict[str, Any]:
    """The table of composers, who of them can be named, and the styles that can be composed in."""
    return catalogue.composers(server_of(request).settings.compose_model)


@router.get("/api/examples", response_model=list[schemas.Example], tags=["what there is"])
def examples() -> list[dict[str, Any]]:
    """Pieces that come along, to try things with and to go on from."""
    return catalogue.listed_examples()


@router.get(
    "/api/examples/{name}",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
    tags=["what there is"],
)
async def example(request: Request, name: str) -> Response:
    """The file of an example; of a recording, played from its notes."""
    found, path = catalogue.example(name)
    if not name.endswith(catalogue.RECORDED):
        return FileResponse(path, filename=name + path.suffix, media_type="application/octet-stream")
    server = server_of(request)
    out = server.folder.run / "tmp" / f"{name}.wav"
    if not out.is_file():
        part = server.folder.request() / "out.wav"
        try:
            work = server.sounds.run(
                "convert", seconds=server.settings.sound_seconds, path=str(path), name=found.title, out=str(part)
            )
            await while_there(request, work)
            part.replace(out)
        finally:
            shutil.rmtree(part.parent, ignore_errors=True)
    return FileResponse(out, filename=out.name, media_type=MEDIA["wav"])


@router.get(
    "/api/soundfont",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "An .sf2 or .sf3 file."},
        204: {"description": "This machine has none; FUGATO_SOUNDFONT names one."},
    },
    tags=["what there is"],
)
def soundfont() -> Response:
    """The soundfont of this machine that `fugato.write` plays with; no content where there is none."""
    from fugato.write.soundfont import find_soundfont

    path = find_soundfont()
    if path is None:
        return Response(status_code=204)
    headers = {"Cache-Control": "private, max-age=86400"}
    return FileResponse(path, filename=path.name, media_type="application/octet-stream", headers=headers)


# -- the application ---------------------------------------------------------------------------------------------------


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application.

    Parameters
    ----------
    settings : Settings, optional
        The defaults serve this machine alone.

    Returns
    -------
    FastAPI
        Its workers start with its lifespan, and end with it.
    """
    settings = settings or Settings()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server = Server(settings)
        app.state.server = server
        try:
            await server.start()
            yield
        finally:
            await server.close()

    app = FastAPI(
        title="Fugato",
        version=__version__,
        summary="Who composed it, which genre it is, and new music in a composer's style.",
        description="Every answer is the object that the command line prints. Errors are problem details (RFC 9457) with a `kind`; "
        "a file that cannot be answered is an error object in the list.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for routes in (router, composing.router, live.router):
        app.include_router(routes)
    made = app.openapi
    app.openapi = lambda: document(made())  # type: ignore[method-assign]
    install(app)
    app.add_exception_handler(ClientGoneError, _nobody)
    _add_page(app)
    app.add_middleware(Guard, settings=settings)
    return app


async def _nobody(_: Request, __: Exception) -> Response:
    return PlainTextResponse("", 499)


def _add_page(app: FastAPI) -> None:
    """The page, its files, and the API's own page."""
    if PAGE.is_dir():
        app.mount("/static", StaticFiles(directory=PAGE), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        index = PAGE / "index.html"
        if index.is_file():
            return FileResponse(index, media_type="text/html")
        return JSONResponse({"name": "Fugato", "version": __version__, "openapi": "/openapi.json"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(DOCS)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(START, media_type="text/javascript")


DOCS: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Fugato: the API</title><meta name="viewport" content="width=device-width">
<link rel="icon" type="image/svg+xml" href="/static/mark.svg">
<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css"></head>
<body><div id="api"><p>The document of the API is at <a href="/openapi.json">/openapi.json</a>.</p></div>
<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>
</html>
"""
START: Final = """if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
}
"""
