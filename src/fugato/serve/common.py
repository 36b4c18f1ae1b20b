"""What the routes share."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import HTTPConnection

from fugato.serve import schemas
from fugato.serve.state import Server

MEDIA: Final = {
    "mid": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "wav": "audio/wav",
    "png": "image/png",
}
PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": what, "content": PROBLEM}
    for status, what in (
        (400, "An option that makes no sense"),
        (401, "The token is asked for"),
        (403, "Asked by a page of another site"),
        (404, "There is no such thing"),
        (413, "Over a limit"),
        (421, "Asked under a name that is not this server's"),
        (422, "The file or the request cannot be used"),
        (429, "Too many at once: come again after Retry-After seconds"),
        (507, "The answer cannot be written"),
    )
}


def server_of(connection: HTTPConnection) -> Server:
    """What the application works with."""
    server: Server = connection.app.state.server
    return server


def document(app_document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the problem details that `PROBLEMS` names, which are no route's own answer."""
    parts = app_document.setdefault("components", {}).setdefault("schemas", {})
    parts["Problem"] = schemas.Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        parts.pop(unused, None)
    return app_document
