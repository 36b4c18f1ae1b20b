"""Make the shipped composer model again, in one command (about half an hour on two cores).

    python tools/train_composer.py INDEX.csv

INDEX.csv lists the shared corpora. They are audited first, so that labels are corrected and works told apart; MAESTRO and the
performances of ASAP are kept for testing, the nine-composer collection for its own protocol, and the works of the demonstration are left
out so that they can be shown.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from fugato.cli.demo import corpus_files
from fugato.corpus import Corpus, audit, load_corpus
from fugato.train import train

OUT = Path(__file__).resolve().parent.parent / "src" / "fugato" / "models" / "shipped" / "composer-ngram"
WITHOUT = ("maestro", "asap:performance", "nine", "unseen", "hostile", "gtzan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--version", default="1.0.0")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    report = audit(load_corpus(args.index))
    corpus = Corpus((p for p in report.corrected() if p.id not in report.excluded), "the shared corpora, audited")
    train(
        "composer",
        corpus,
        recipe="ngram-linear",
        out=args.out,
        name="composer",
        version=args.version,
        composers={"shipped"},
        without=WITHOUT,
        apart_from=[path for path, _, _ in corpus_files()],
    )
    print(f"the model is in {args.out}")


if __name__ == "__main__":
    main()
