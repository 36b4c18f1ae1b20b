"""Train the shipped model that composes, from an index of collections: pieces with an open licence only.

    python tools/train_compose.py ~/.cache/fugato/corpora/index.csv --out src/fugato/models/shipped/compose-remi --minutes 90

Stopped, it goes on with --resume and ends as it would have. For a machine with a GPU and without the collections:

    python tools/train_compose.py INDEX.csv --pack --out packed/
    python tools/train_compose.py packed/ --out model/ --budget full --precision bf16-mixed --minutes 25
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from build_style import audited

from fugato.corpus import Corpus
from fugato.models import load_model
from fugato.train.compose import chosen_pieces, train_compose
from fugato.train.phrases import prepare

WITHOUT = ("unseen", "hostile", "gtzan")  # kept for checks, or no music to learn from


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, help="an index.csv, audited or not, or a folder made with --pack")
    parser.add_argument("--out", type=Path, required=True, help="the model folder")
    parser.add_argument("--pack", action="store_true", help="only read the collection, and keep its steps in --out")
    parser.add_argument("--recipe", help="another than remi-transformer")
    parser.add_argument("--minutes", type=float, help="wall clock for learning; all epochs where left out")
    parser.add_argument("--budget", default="small", help="full, or small for a machine without a GPU")
    parser.add_argument("--from", dest="from_model", metavar="NAME|DIR", help="a model to go on from")
    parser.add_argument("--precision", default="32-true", help="32-true, or bf16-mixed on a GPU")
    parser.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the recipe")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    last = [0.0]

    def progress(what: str, done: int, total: int) -> None:
        if time.monotonic() - last[0] > 60 or done == total:
            last[0] = time.monotonic()
            logging.info("%s: %d of %d", what, done, total)

    data: Path | Corpus = asked.index
    if not (asked.index / "phrases.json").is_file():
        data = chosen_pieces(audited(asked.index), without=WITHOUT, only_open=True, jobs=asked.jobs)
        if asked.pack:
            prepare(data, asked.out, jobs=asked.jobs)
            print(f"packed in {asked.out}")
            return
    folder = train_compose(
        data,
        out=asked.out,
        name=asked.recipe or "compose",
        recipe=asked.recipe,
        from_model=asked.from_model,
        minutes=asked.minutes,
        budget=asked.budget,
        precision=asked.precision,
        resume=asked.resume,
        jobs=asked.jobs,
        progress=progress,
        **{key: float(value) for key, value in (setting.split("=", 1) for setting in asked.set)},
    )
    card = load_model(folder).card
    for figure in card.figures:
        print(f"{figure['name']:24} {figure['value']:>10}  {figure['protocol']} (n = {figure['n']})")
    print(f"{sum(file.bytes for file in card.files.values()) / 1e6:.1f} MB in {folder}")


if __name__ == "__main__":
    main()
