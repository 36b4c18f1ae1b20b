"""Serving: the address is taken first, so that a port in use is said in a sentence, then uvicorn answers until it is stopped."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

from fugato.errors import FugatoError
from fugato.serve.api import create_app
from fugato.serve.settings import Settings

LONGEST_HEADERS: Final = 65_536  # bytes
GRACE: Final = 3  # seconds that requests have to end when the server is stopped
MESSAGE: Final = 4_000_000  # bytes of one WebSocket message


def run(settings: Settings | None = None, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    settings : Settings, optional
    ready : callable, optional
        Told the address of the page when it is open.

    Raises
    ------
    FugatoError
        ``busy`` where the port is taken, ``bad-option`` for an address that is none of this machine's, ``bad-output`` where the server's
        folder cannot be written to.
    """
    settings = settings or Settings()
    listening = _listening(settings)
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        log_config=None,
        access_log=False,  # addresses may hold the token
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=LONGEST_HEADERS,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MESSAGE,
        lifespan="on",
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = uvicorn.Server(config)
    if ready is not None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        ready(f"http://{host}:{port}/")
    try:
        server.run([listening])
    finally:
        listening.close()


def _listening(settings: Settings) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, proto)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(256)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        where = f"{settings.host}:{settings.port}"
        if getattr(error, "errno", None) == 98 or "in use" in str(error):
            raise FugatoError("busy", "Another program listens there; give another --port.", where) from error
        raise FugatoError("bad-option", f"The server cannot listen there ({error}).", where) from error
    return listening
