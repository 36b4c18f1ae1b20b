"""The live route: a WebSocket that takes notes while somebody plays, and answers who might have composed them.

Notes go to one worker that holds a `fugato.composer.Listener` for each connection. The server keeps what was sent, so that a worker that
was replaced is told again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from typing import Any, Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from fugato.composer.listen import MOST_NOTES
from fugato.errors import FugatoError
from fugato.serve import catalogue, schemas
from fugato.serve.common import server_of
from fugato.serve.pool import FaultError
from fugato.serve.problems import FAULT
from fugato.serve.state import Server

router = APIRouter()

TRY_AGAIN: Final = 1013  # WebSocket close code: too many at once
SECONDS: Final = 20.0  # that one look may take


@router.websocket("/api/live")
async def live(socket: WebSocket) -> None:
    """Each message (`Played`) is answered (`Heard`), or refused in a sentence and forgotten."""
    server = server_of(socket)
    await socket.accept()
    if server.listeners >= server.settings.listeners:
        await socket.close(TRY_AGAIN, "Too many live connections; try again later.")
        return
    server.listeners += 1
    session = _Session(server)
    try:
        while True:
            text = await socket.receive_text()
            await socket.send_text(json.dumps(await session.answer(text)))
    except (WebSocketDisconnect, KeyError):  # KeyError: bytes where text is wanted
        pass
    finally:
        server.listeners -= 1
        with contextlib.suppress(FugatoError, FaultError):
            await asyncio.shield(server.ears.run("forget", seconds=SECONDS, session=session.id))


class _Session:
    """What one connection has sent."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.id = secrets.token_hex(8)
        self.model = "composer"
        self.notes: list[Any] = []
        self.reset = False

    async def answer(self, text: str) -> dict[str, Any]:
        """The answer to one message."""
        began = time.perf_counter()
        try:
            message = schemas.Played.model_validate_json(text)
            if message.model is not None:
                catalogue.check_model(message.model)
                self.reset, self.model = self.reset or message.model != self.model, message.model
            if message.reset or self.reset:
                self.notes, self.reset = [], True
            if len(self.notes) + len(message.notes) > MOST_NOTES:
                raise FugatoError("too-large", f"{MOST_NOTES:,} notes were heard, and no more are taken; begin anew.")
            found = await self._ask(len(self.notes), message)
            if found.get("lost"):  # the worker is another one than before
                everything = message.model_copy(update={"notes": [*self.notes, *message.notes]})
                self.reset = True
                found = await self._ask(0, everything)
            self.notes += message.notes
            self.reset = False
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the message"
            return _refused("bad-option", f"The message is not as it should be: {where}: {first['msg']}.")
        except FugatoError as error:
            self.reset = self.reset or not self.notes
            return _refused(error.kind, error.message)
        except FaultError:
            return _refused("corrupt", FAULT)
        return {**found, "elapsed": round(time.perf_counter() - began, 4)}

    async def _ask(self, before: int, message: schemas.Played) -> dict[str, Any]:
        """Ask the worker; other connections share it, so a client that goes away does not end it."""
        asking = self.server.ears.run(
            "listen",
            seconds=SECONDS,
            session=self.id,
            before=before,
            notes=message.notes,
            model=self.model,
            reset=self.reset,
            explain=message.explain,
        )
        found: dict[str, Any] = json.loads(await asyncio.shield(asking))
        return found


def _refused(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message}}
