"""Make the shipped composer model again, in one command (about two and a half hours on two cores, most of it the network).

    python tools/train_composer.py INDEX.csv --version 1.4.0 --held-out DIR --resume
    python tools/train_composer.py INDEX.csv --version 1.4.1 --held-out DIR --keep-network composer   # the n-grams; some 30 minutes
    python tools/train_composer.py INDEX.csv --version 1.4.2 --held-out DIR --calibrate   # only how far to trust it; minutes

INDEX.csv lists the shared corpora. They are audited first, so that labels are corrected and works told apart, unless the index is one that
`fugato audit --out` has written; music by two composers is left out (a transcription says little of either), and so are the works of the
demonstration, so that they can be shown. The panel that has not seen the works it was judged on is kept for the benchmarks.
With --scores-only it learns from no collection of performances, MAESTRO and those of ASAP, so that it can be asked about them.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

from build_style import audited

from fugato.cli.demo import corpus_files
from fugato.corpus import Corpus
from fugato.models import load_model, save_model
from fugato.train import train
from fugato.train.composer import select, strangers
from fugato.train.panel import calibrate

OUT = Path(__file__).resolve().parent.parent / "src" / "fugato" / "models" / "shipped" / "composer-panel"
SETTINGS = {"epochs": 20, "epoch_windows": 60_000}
WITHOUT = ("unseen", "hostile", "gtzan")
PLAYED = ("maestro", "asap:performance")


def by_one(corpus: Corpus) -> Corpus:
    """The pieces that are not by two composers."""
    return corpus.filter(lambda piece: "/" not in piece.extra.get("composers_raw", ""))


def calibrated(corpus: Corpus, shipped: Path, held_out: Path, version: str, without: tuple[str, ...]) -> None:
    """Both folders with a calibration that is fitted again on the works that the panel held out has not seen."""
    judged = set(json.loads(held_out.with_name("judged.json").read_text())["judged"])
    pieces = Corpus([piece for piece in corpus if piece.id in judged], "works held out")
    others = strangers(corpus, select(corpus, composers={"shipped"}, without=without), without)
    _, _, found = calibrate(held_out, pieces, strangers=others)
    for folder in (held_out, shipped):
        model = load_model(folder)
        card = replace(model.card, calibration={**model.card.calibration, **found})
        if folder == shipped:
            card = replace(card, version=version)
        save_model(folder, card, {part: model.path(part) for part in card.files})
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--version", required=True)
    parser.add_argument("--held-out", type=Path, help="folder for the panel that benchmarks judge")
    parser.add_argument(
        "--keep-network", metavar="NAME|DIR", help="a panel of the same index, of which only the n-grams are made again"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    parser.add_argument("--calibrate", action="store_true", help="fit what both cards say of calibration again")
    parser.add_argument("--scores-only", action="store_true", help="learn from no collection of performances")
    args = parser.parse_args()
    without = (*WITHOUT, *PLAYED) if args.scores_only else WITHOUT
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.calibrate and args.held_out is None:
        parser.error("--calibrate needs --held-out, the panel that is asked")
    corpus = by_one(audited(args.index))
    if args.calibrate:
        calibrated(corpus, args.out, args.held_out, args.version, without)
        return
    train(
        "composer",
        corpus,
        recipe="panel",
        out=args.out,
        name="composer",
        version=args.version,
        composers={"shipped"},
        without=without,
        apart_from=[path for path, _, _ in corpus_files()],
        held_out=args.held_out,
        resume=args.resume,
        network_of=args.keep_network,
        **SETTINGS,
    )
    print(f"the model is in {args.out}")


if __name__ == "__main__":
    main()
