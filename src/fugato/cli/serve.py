"""``fugato serve``: the page and the API, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import FugatoError
from .edge import message


def serve(
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Any but this machine's own asks for a --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="FUGATO_TOKEN", metavar="TOKEN", help="Every request has to show it."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A further name of the server, as behind a proxy."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, metavar="N", help="Processes that answer.")] = 2,
    writers: Annotated[int, typer.Option("--writers", min=1, max=64, metavar="N", help="Pieces composed at once.")] = 2,
    model: Annotated[str, typer.Option("--model", metavar="NAME|DIR", help="The model that composes.")] = "compose",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", help="For uploads while they are needed; FUGATO_HOME/serve if left out."
        ),
    ] = None,
) -> None:
    """Serve the page and the API until interrupted."""
    try:
        from ..serve import Settings, run
    except ImportError as error:
        raise FugatoError(
            "bad-option",
            f"{error.name} is not installed: the server needs the extra serve, pip install 'fugato[serve]'.",
        ) from error

    settings = Settings(
        host=host,
        port=port,
        token=token,
        names=tuple(allow_host or ()),
        folder=folder,
        compose_model=model,
        workers=workers,
        writers=writers,
    )
    run(settings, ready=lambda address: message(f"fugato: serving on {address}  (API: {address}docs; Ctrl-C stops it)"))
