"""``fugato genre``: which genre a recording is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import FugatoError
from .answering import (
    OverwriteOption,
    SchedulerOption,
    ShardsOption,
    answer_all,
    check_places,
    elsewhere,
    expand,
    with_picture,
)


def genre(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILE…|FOLDER", help="Recordings, or folders and addresses walked to the last file."),
    ],
    top: Annotated[
        int | None, typer.Option("--top", min=1, metavar="N", help="Names to keep of each ranking; all by default.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="OUT.png", help="Draw waveform, mel spectrogram and genres along the time."),
    ] = None,
    model: Annotated[str, typer.Option("--model", metavar="NAME|DIR", help="A model's name or folder.")] = "genre",
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout, also on a terminal.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="OUT.jsonl", help="Answers to this file, a line each.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in --out or --shards.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, metavar="N", help="Files heard at the same time.")
    ] = None,
    scheduler: SchedulerOption = None,
    shards: ShardsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Name the genre of each recording: WAV, FLAC, OGG, MP3, AIFF; pieces in notes are rendered first."""
    from ..models import load_model
    from ..read import SOUND_SUFFIXES

    check_places(out, resume, shards, overwrite)
    paths = expand(inputs, SOUND_SUFFIXES, "recording")
    if plot is not None and len(paths) != 1:
        raise FugatoError("bad-option", f"--plot draws one recording; {len(paths)} were given.")
    load_model(model)  # refuse a wrong model before any answer is overwritten

    def ask(todo: list[str]) -> Iterable[dict[str, Any]]:
        if plot is not None and todo:
            from ..genre import genre as one

            return with_picture(one, todo[0], plot, model=model, top=top)
        if elsewhere(todo, scheduler):
            from ..scale import answers

            return answers("genre", todo, scheduler=scheduler, jobs=jobs, model=model, top=top)
        from ..genre import genre_many

        return genre_many(todo, model=model, top=top, jobs=jobs)

    asked = {"task": "genre", "model": model, "top": top}
    kept: dict[str, Any] = {"out": out, "shards": shards, "resume": resume, "overwrite": overwrite}
    answer_all(paths, ask, as_json=as_json, top=top, asked=asked, **kept)
