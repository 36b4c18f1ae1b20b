"""``fugato featurise``: the feature table of a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FugatoError
from . import show
from .answering import OverwriteOption, SchedulerOption, ShardsOption, check_again
from .edge import message
from .options import Jobs
from .output import check_new, print_json

if TYPE_CHECKING:
    from ..corpus import Corpus


def featurise(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help='A folder with one folder a composer, a zip of one, the address of one, an index.csv, or "music21".',
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="T.parquet|T.csv", help="The table to write, in one file.")
    ] = None,
    level: Annotated[
        str, typer.Option("--level", metavar="chunk|note|piece", help="What a row of the table stands for.")
    ] = "chunk",
    size: Annotated[int, typer.Option("--size", min=2, metavar="N", help="Notes of a chunk.")] = 200,
    jobs: Jobs = 2,
    as_json: Annotated[bool, typer.Option("--json", help="What became of every file as JSON on stdout.")] = False,
    scheduler: SchedulerOption = None,
    shards: ShardsOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in --shards.")] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a table of features of every chunk, note or piece of a collection, as Parquet or CSV."""
    from ..study.featurise import check_level, check_out

    if (out is None) == (shards is None):
        raise FugatoError("bad-option", "The table goes to one file with --out, or to a folder with --shards.")
    check_level(level)
    check_again(resume, overwrite)
    if out is not None:
        if resume:
            raise FugatoError("bad-option", "A table in one file is written anew; --resume goes on with --shards.")
        check_new(check_out(out), overwrite)
        _table(_corpus(data), out, level, size, jobs, scheduler, as_json)
    elif shards is not None:
        _shards(_corpus(data), shards, level, size, jobs, scheduler, resume, overwrite, as_json)


def _corpus(data: str) -> Corpus:
    from ..corpus import load_corpus
    from ..scale import is_remote, list_pieces

    return list_pieces(data) if is_remote(data) else load_corpus(data)


def _table(corpus: Corpus, out: Path, level: str, size: int, jobs: int, scheduler: str | None, as_json: bool) -> None:
    from ..scale import is_remote, read_chunks
    from ..study.featurise import featurise as make

    with show.progress(len(corpus)) as advance:

        def told(done: int, total: int) -> None:
            advance()

        reads = None
        if scheduler is not None or any(is_remote(piece.path) for piece in corpus):
            reads = read_chunks(corpus, scheduler=scheduler, size=size, jobs=jobs, progress=told)
        table = make(corpus, out, level=level, size=size, jobs=jobs, progress=told, reads=reads)
    for line in table.lines():
        message(line)
    skipped = f", {len(table.skipped):,} skipped" if table.skipped else ""
    passed = f", {len(table.not_taken):,} other entries passed over" if table.not_taken else ""
    message(
        f"fugato: {table.rows:,} rows of {table.used:,} files{skipped}{passed} in {table.path} "
        f"({table.seconds:.1f} s); every file's reason in {table.counts_path}"
    )
    if as_json:
        print_json(table.to_dict())


def _shards(
    corpus: Corpus,
    folder: Path,
    level: str,
    size: int,
    jobs: int,
    scheduler: str | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    from ..scale import Shards, featurise_shards

    asked = {"task": "featurise", "level": level, "size": size}
    with Shards(folder, asked, resume=resume, overwrite=overwrite, piece=len(corpus) // 200) as shards:
        left = len(shards.left(corpus.ids))
        if left < len(corpus):
            message(f"fugato: {len(corpus) - left:,} of {len(corpus):,} are in it already")
        with show.progress(left) as advance:
            used, skipped = featurise_shards(
                corpus,
                shards,
                level=level,
                size=size,
                scheduler=scheduler,
                jobs=jobs,
                progress=lambda done, total: advance(),
            )
    message(f"fugato: rows of {used:,} files, {skipped:,} skipped; in {folder}, every file's reason in its manifest")
    if as_json:
        print_json({"shards": str(folder), "used": used, "skipped": skipped})
