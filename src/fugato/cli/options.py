"""Options that several commands share, each with its help written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Task = Annotated[
    str,
    typer.Argument(
        metavar="composer|genre|compose", help="What the model is to do: name composers or genres, or write music."
    ),
]
Labelled = Annotated[
    str, typer.Argument(metavar="DATA", help="A folder with one folder a composer or genre, or an index.csv.")
]
Composers = Annotated[str | None, typer.Option("--composers", metavar="A,B|shipped", help="Only these composers.")]
Without = Annotated[
    str | None, typer.Option("--without", metavar="CORPUS[:DOMAIN],…", help="Leave out these parts of an index.")
]
Budget = Annotated[
    str, typer.Option("--budget", metavar="full|small", help="Networks: as published, or for a machine without a GPU.")
]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, metavar="N", help="Networks: at most so many.")]
Encoder = Annotated[
    Path | None,
    typer.Option("--encoder", metavar="DIR", help="genre, pretrained-encoder: the folder of a transformers encoder."),
]
OnlyOpen = Annotated[
    bool, typer.Option("--only-open", help="compose: only pieces whose licence lets the model be shared.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="Reading processes.")]
