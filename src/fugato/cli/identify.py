"""``fugato identify``: who wrote it."""

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


def identify(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILE…|FOLDER", help="Music files, or folders and addresses walked to the last file."),
    ],
    top: Annotated[
        int | None, typer.Option("--top", min=1, metavar="N", help="Only the first N names of each ranking.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which bars and patterns spoke for the name.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT.png", help="Draw it (.png or .svg); for one input.")
    ] = None,
    candidates: Annotated[
        str | None, typer.Option("--candidates", metavar="A,B", help="Choose between these composers only.")
    ] = None,
    model: Annotated[str, typer.Option("--model", metavar="NAME|DIR", help="A model's name or folder.")] = "composer",
    fuse: Annotated[
        list[str] | None, typer.Option("--fuse", metavar="NAME|DIR", help="A model to answer together with it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout, also on a terminal.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="OUT.jsonl", help="Answers to this file, a line each.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in --out or --shards.")] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, metavar="N", help="Files read at the same time.")] = None,
    scheduler: SchedulerOption = None,
    shards: ShardsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Name the composer of each piece: MIDI, MusicXML, kern or ABC."""
    from ..read import suffixes

    check_places(out, resume, shards, overwrite)
    names = [name.strip() for name in candidates.split(",") if name.strip()] if candidates is not None else None
    paths = expand(inputs, suffixes(), "music")
    if plot is not None and len(paths) != 1:
        raise FugatoError("bad-option", f"--plot draws one piece; {len(paths)} were given.")
    from ..models import load_model

    for name in (model, *(fuse or ())):  # refuse a wrong model before any answer is overwritten
        load_model(name)
    options: dict[str, Any] = {
        "model": model,
        "fuse": fuse or (),
        "candidates": names,
        "explain": explain,
        "top": top,
    }

    def ask(todo: list[str]) -> Iterable[dict[str, Any]]:
        if plot is not None and todo:
            from ..composer import identify as one

            return with_picture(one, todo[0], plot, **options)
        if elsewhere(todo, scheduler):
            from ..scale import answers

            return answers("identify", todo, scheduler=scheduler, jobs=jobs, **options)
        from ..composer import identify_many

        return identify_many(todo, jobs=jobs, **options)

    asked = {"task": "identify", **options}
    kept: dict[str, Any] = {"out": out, "shards": shards, "resume": resume, "overwrite": overwrite}
    answer_all(paths, ask, as_json=as_json, top=top, asked=asked, **kept)
