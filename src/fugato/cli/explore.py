"""``fugato explore``: pictures of a collection, each with what can be read from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import show
from .edge import message
from .output import print_json


def explore(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help='A folder with one folder a composer, a zip of one, an index.csv, or "music21".'
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder for the pictures and explore.html.")],
    classes: Annotated[
        int, typer.Option("--classes", min=1, metavar="N", help="Composers to draw, those with most files.")
    ] = 10,
    sample: Annotated[
        int, typer.Option("--sample", min=1, metavar="N", help="Chunks of each composer whose notes are looked at.")
    ] = 400,
    size: Annotated[int, typer.Option("--size", min=2, metavar="N", help="Notes of a chunk.")] = 200,
    random_seed: Annotated[
        int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same pictures.")
    ] = 0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="Reading processes.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON on stdout.")] = False,
) -> None:
    """Draw a collection: its classes, features, correlations, augmentation and examples, on one page."""
    from ..corpus import load_corpus
    from ..study.explore import explore as draw
    from ..study.explore import make_folder

    make_folder(out)
    corpus = load_corpus(data)
    with show.progress(len(corpus)) as advance:
        made = draw(
            corpus,
            out,
            classes=classes,
            sample=sample,
            size=size,
            random_seed=random_seed,
            jobs=jobs,
            progress=lambda done, total: advance(),
        )
    for sentence in made.sentences.values():
        message(sentence)
    for reason in made.left_out:
        message(f"not drawn: {reason}")
    message(f"fugato: {len(made.pictures)} pictures in {made.folder}; all of them with their texts: {made.page}")
    if as_json:
        print_json(made.to_dict())
