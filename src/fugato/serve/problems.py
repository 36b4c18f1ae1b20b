"""Errors as problem details (RFC 9457) with the kind of the FugatoError."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fugato.errors import FugatoError
from fugato.serve.pool import FaultError

FAULT: Final = "A fault of Fugato's own; the server's log says where. Please report it."
MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2  # after which somebody who was told to come again may try
STATUS: Final[dict[str, int]] = {  # kind -> status; all others 422: the request is sound, its file is not
    "bad-option": 400,
    "bad-data": 400,
    "no-model": 404,
    "too-large": 413,
    "busy": 429,
    "bad-output": 507,
}
KIND: Final[dict[int, str]] = {400: "bad-option", 413: "too-large", 422: "bad-option", 429: "busy"}


def problem(
    status: int,
    detail: str,
    *,
    kind: str | None = None,
    input: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A response that says what is wrong."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "kind": kind if kind is not None else KIND.get(status),
        "input": input,
    }
    extra = {"Retry-After": str(RETRY_SECONDS)} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return JSONResponse(content, status, {**extra, **(headers or {})}, MEDIA_TYPE)


def problem_of(error: FugatoError) -> dict[str, Any]:
    """The same of a FugatoError, as an object."""
    status = STATUS.get(error.kind, 422)
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "kind": error.kind,
        "input": error.input,
    }


def install(app: FastAPI) -> None:
    """Let the application answer every error so."""

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, FugatoError)
        return problem(STATUS.get(error.kind, 422), error.message, kind=error.kind, input=error.input)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        said = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or 'the body'}: {e['msg']}" for e in error.errors()[:5])
        return problem(422, f"The request is not as it should be: {said}.")

    async def of_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    async def fault(_: Request, __: Exception) -> JSONResponse:
        return problem(500, FAULT)

    app.add_exception_handler(FugatoError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(FaultError, fault)
