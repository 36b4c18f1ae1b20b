"""``fugato identify``: who wrote it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import FugatoError
from . import show
from .edge import FAILED, message
from .output import JsonLines, is_table, print_json


def identify(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE…|FOLDER", help="Music files, or folders walked to the last file.")
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file given to --out.")] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, metavar="N", help="Files read at the same time.")] = None,
) -> None:
    """Name the composer of each piece: MIDI, MusicXML, kern or ABC."""
    if resume and out is None:
        raise FugatoError("bad-option", "--resume goes on with a file of answers: give it with --out.")
    names = [name.strip() for name in candidates.split(",") if name.strip()] if candidates is not None else None
    paths = expand(inputs)
    if plot is not None and len(paths) != 1:
        raise FugatoError("bad-option", f"--plot draws one piece; {len(paths)} were given.")
    from ..models import load_model

    for name in (model, *(fuse or ())):  # refuse a wrong model before any answer is overwritten
        load_model(name)

    with ExitStack() as stack:
        lines = stack.enter_context(JsonLines(out, resume=resume)) if out is not None else None
        todo = lines.left(paths) if lines is not None else paths
        failed = len(lines.failed_before.intersection(paths)) if lines is not None else 0
        if len(todo) < len(paths):
            message(f"fugato: {len(paths) - len(todo):,} of {len(paths):,} are answered already")
        answers: Iterator[dict[str, Any]]
        if plot is not None and todo:
            answers = _with_picture(
                todo[0], plot, model=model, fuse=fuse or (), candidates=names, explain=explain, top=top
            )
        else:
            from ..composer import identify_many

            answers = iter(
                identify_many(todo, model=model, fuse=fuse or (), candidates=names, explain=explain, top=top, jobs=jobs)
            )
        advance = stack.enter_context(show.progress(len(todo))) if lines is not None or not is_table(as_json) else None
        one = len(paths) == 1
        if lines is None and is_table(as_json) and not one:
            answers = show.rows(answers, todo)
        for answer in answers:
            failed += "error" in answer
            if lines is not None:
                lines.write(answer)
            if as_json or (lines is None and not is_table(as_json)):
                print_json(answer)
            elif lines is None and one:
                show.detail(answer, top or 5)
            if advance is not None:
                advance()
    if out is not None:
        message(f"fugato: {len(paths) - failed:,} answered, {failed:,} not; in {out}")
    elif failed and (as_json or not is_table(as_json)):
        message(f"fugato: {failed:,} of {len(paths):,} could not be answered; their lines say why")
    if failed:
        raise typer.Exit(FAILED)


def expand(inputs: list[str]) -> list[str]:
    """Files as they are named, folders as the files in them, each once, in order.

    Raises
    ------
    FugatoError
        ``bad-data`` where the folders hold no music.
    """
    from ..read import find_files, suffixes

    found: dict[str, None] = {}
    for name in inputs:
        if os.path.isdir(name):
            found.update((str(path), None) for path in find_files(name))
        else:
            found[name] = None
    if not found:
        kinds = " ".join(suffixes())
        raise FugatoError("bad-data", f"There is no music in it: no file ends in {kinds}.", ", ".join(inputs))
    return list(found)


def _with_picture(path: str, plot: Path, **options: Any) -> Iterator[dict[str, Any]]:
    """The answer to one input, after its picture is drawn."""
    from ..composer import identify as ask
    from ..write import plot as draw

    try:
        answer = ask(path, **options)
    except FugatoError as error:
        if error.input is None and error.kind in ("no-model", "bad-model", "bad-option"):
            raise
        yield {**error.to_dict(), "input": path}
        return
    draw(answer, plot)
    message(f"fugato: the picture is in {plot}")
    yield answer.to_dict()
