"""What commands that answer about many inputs share: which inputs, where answers go, what is said at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import FugatoError
from . import show
from .edge import FAILED, message
from .output import JsonLines, is_table, print_json

if TYPE_CHECKING:
    from ..answer import Answer
    from ..scale import Shards

PARTS: Final = 200  # times that answers are kept during a run at least, so that a kill repeats little

Ask = Callable[[list[str]], Iterable[dict[str, Any]]]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help='A Dask cluster to run on: tcp://host:8786, or "local".'),
]
ShardsOption = Annotated[
    Path | None,
    typer.Option("--shards", metavar="DIR", help="Results to Parquet shards with a manifest in this folder."),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is there already; without it, that is refused.")
]


def expand(inputs: list[str], suffixes: Collection[str], what: str) -> list[str]:
    """Files as they are named, folders and addresses as the files in them, each once, in order.

    Raises
    ------
    FugatoError
        ``bad-data`` where the folders hold nothing of the kind.
    """
    from ..read import find_files
    from ..scale.places import find, is_remote

    found: dict[str, None] = {}
    for name in inputs:
        if os.path.isdir(name):
            found.update((str(path), None) for path in find_files(name, suffixes))
        elif is_remote(name):
            found.update((address, None) for address in find(name, suffixes))
        else:
            found[name] = None
    if not found:
        raise FugatoError(
            "bad-data", f"There is no {what} in it: no file ends in {' '.join(suffixes)}.", ", ".join(inputs)
        )
    return list(found)


def check_places(out: Path | None, resume: bool, shards: Path | None, overwrite: bool = False) -> None:
    """Refuse options that say two things about where the answers go.

    Raises
    ------
    FugatoError
        ``bad-option``.
    """
    if resume and out is None and shards is None:
        raise FugatoError("bad-option", "--resume goes on with answers that are kept: give it with --out or --shards.")
    check_again(resume, overwrite)
    if overwrite and out is None and shards is None:
        raise FugatoError("bad-option", "--overwrite is about answers that are kept: give it with --out or --shards.")
    if out is not None and shards is not None:
        raise FugatoError("bad-option", "Answers go to one file with --out, or to a folder with --shards; choose one.")


def check_again(resume: bool, overwrite: bool) -> None:
    """Refuse to go on with what is to be overwritten.

    Raises
    ------
    FugatoError
        ``bad-option``.
    """
    if resume and overwrite:
        raise FugatoError("bad-option", "--resume keeps what is there, --overwrite replaces it; choose one.")


def elsewhere(paths: list[str], scheduler: str | None) -> bool:
    """Whether inputs are answered by a cluster, or lie at an address."""
    from ..scale.places import is_remote

    return scheduler is not None or any(is_remote(path) for path in paths)


def answer_all(
    paths: list[str],
    ask: Ask,
    *,
    out: Path | None,
    resume: bool,
    as_json: bool,
    top: int | None,
    shards: Path | None = None,
    overwrite: bool = False,
    asked: Mapping[str, Any] | None = None,
) -> None:
    """Answer every input once, print or write the answers as they come, and leave with status 1 where one failed.

    Parameters
    ----------
    paths : list of str
    ask : callable
        Gives an answer, or an error, for each of the inputs it is given, in any order.
    out, resume, as_json, top, shards, overwrite
        The options of those names.
    asked : mapping
        What `ask` asks, which shards keep.
    """
    with ExitStack() as stack:
        lines: JsonLines | Shards | None = None
        if out is not None:
            lines = stack.enter_context(JsonLines(out, resume=resume, overwrite=overwrite))
        elif shards is not None:
            from ..scale import Shards as Folder

            kept = Folder(shards, asked or {}, resume=resume, overwrite=overwrite, piece=len(paths) // PARTS)
            lines = stack.enter_context(kept)
        todo = lines.left(paths) if lines is not None else paths
        failed = len(lines.failed_before.intersection(paths)) if lines is not None else 0
        if len(todo) < len(paths):
            message(f"fugato: {len(paths) - len(todo):,} of {len(paths):,} are answered already")
        answers = iter(ask(todo))
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
    if lines is not None:
        message(f"fugato: {len(paths) - failed:,} answered, {failed:,} not; in {out or shards}")
    elif failed and (as_json or not is_table(as_json)):
        message(f"fugato: {failed:,} of {len(paths):,} could not be answered; their lines say why")
    if failed:
        raise typer.Exit(FAILED)


def with_picture(ask: Callable[..., Answer], path: str, plot: Path, **options: Any) -> Iterator[dict[str, Any]]:
    """The answer to one input, after its picture is drawn."""
    from ..study.plot import plot as draw

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
