"""Make the shipped composer model again, in one command (about two and a half hours on two cores, most of it the network).

    python tools/train_composer.py INDEX.csv --held-out DIR --resume

INDEX.csv lists the shared corpora. They are audited first, so that labels are corrected and works told apart, unless the index is one that
`fugato audit --out` has written; MAESTRO and the performances of ASAP are kept for testing, the nine-composer collection for its own
protocol, and the works of the demonstration are left out so that they can be shown. The panel that has not seen the works it was judged
on is kept for the benchmarks.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from build_style import audited

from fugato.cli.demo import corpus_files
from fugato.train import train

OUT = Path(__file__).resolve().parent.parent / "src" / "fugato" / "models" / "shipped" / "composer-panel"
SETTINGS = {"epochs": 8, "epoch_windows": 60_000}  # few long ones, since after each all held-out windows are heard
WITHOUT = ("maestro", "asap:performance", "nine", "unseen", "hostile", "gtzan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--held-out", type=Path, help="folder for the panel that benchmarks judge")
    parser.add_argument("--resume", action="store_true", help="go on with a training that was stopped")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(
        "composer",
        audited(args.index),
        recipe="panel",
        out=args.out,
        name="composer",
        version=args.version,
        composers={"shipped"},
        without=WITHOUT,
        apart_from=[path for path, _, _ in corpus_files()],
        held_out=args.held_out,
        resume=args.resume,
        **SETTINGS,
    )
    print(f"the model is in {args.out}")


if __name__ == "__main__":
    main()
