"""``fugato explore``: pictures of a collection or of a recording, each with what can be read from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import show
from .edge import message
from .options import Jobs
from .output import print_json


def explore(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help='A folder with one folder a composer or genre, a zip of scores, an index.csv, "music21", or a recording.',
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder for the pictures and explore.html.")],
    classes: Annotated[
        int, typer.Option("--classes", min=1, metavar="N", help="Composers or genres to draw, those with most files.")
    ] = 10,
    sample: Annotated[
        int, typer.Option("--sample", min=1, metavar="N", help="Chunks of each composer whose notes are looked at.")
    ] = 400,
    size: Annotated[int, typer.Option("--size", min=2, metavar="N", help="Notes of a chunk.")] = 200,
    random_seed: Annotated[
        int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same pictures.")
    ] = 0,
    jobs: Jobs = 2,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON on stdout.")] = False,
) -> None:
    """Draw a collection of scores or recordings, or one recording, on one page.

    Of scores: classes, features, correlations, augmentation, examples. Of recordings: classes, lengths and formats, loudness, spectra, and
    waveform, FFT, STFT, mel spectrogram and MFCC of one of each genre.
    """
    from ..corpus import load_corpus
    from ..corpus.sounds import is_sound, load_sounds
    from ..study.explore import explore as draw
    from ..study.explore import make_folder
    from ..study.explore_sound import explore_recording, explore_sound

    make_folder(out)
    if is_sound(data):
        if Path(data).is_file() and Path(data).suffix.lower() != ".csv":
            made = explore_recording(data, out)
        else:
            sounds = load_sounds(data)
            with show.progress(len(sounds)) as advance:
                made = explore_sound(sounds, out, classes=classes, jobs=jobs, progress=lambda done, total: advance())
    else:
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
    for unusable in made.figures.get("unusable", ()):
        message(f"{unusable['file']}: {unusable['message']}")
    many = f"{len(made.pictures)} pictures" if len(made.pictures) != 1 else "1 picture"
    message(f"fugato: {many} in {made.folder}; with what can be read from it: {made.page}")
    if as_json:
        print_json(made.to_dict())
