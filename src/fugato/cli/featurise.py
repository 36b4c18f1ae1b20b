"""``fugato featurise``: the feature table of a collection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import show
from .edge import message
from .output import print_json


def featurise(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help='A folder with one folder a composer, a zip of one, an index.csv, or "music21".'
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="T.parquet|T.csv", help="The table to write.")],
    level: Annotated[
        str, typer.Option("--level", metavar="chunk|note|piece", help="What a row of the table stands for.")
    ] = "chunk",
    size: Annotated[int, typer.Option("--size", min=2, metavar="N", help="Notes of a chunk.")] = 200,
    jobs: Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="Reading processes.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="What became of every file as JSON on stdout.")] = False,
) -> None:
    """Write a table of features of every chunk, note or piece of a collection, as Parquet or CSV."""
    from ..corpus import load_corpus
    from ..study.featurise import check_out
    from ..study.featurise import featurise as make

    check_out(out)
    corpus = load_corpus(data)
    with show.progress(len(corpus)) as advance:
        table = make(corpus, out, level=level, size=size, jobs=jobs, progress=lambda done, total: advance())
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
