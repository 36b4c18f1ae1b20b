"""Make the shipped genre model again, in one command (about ten minutes on one core).

    python tools/train_genre.py GTZAN

GTZAN is the folder with its spectrograms (`fugato.corpus.mel_archive`). All 1,000 clips are learnt from; the figures in the card are those
of folds over artists. `fugato benchmark genre` has the other protocols.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from fugato.train import train

OUT = Path(__file__).resolve().parent.parent / "src" / "fugato" / "models" / "shipped" / "genre-covariance"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--version", default="1.0.0")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train("genre", args.archive, recipe="mel-covariance", out=args.out, name="genre", version=args.version)
    print(f"the model is in {args.out}")


if __name__ == "__main__":
    main()
