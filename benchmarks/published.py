"""The published composer classifiers under their own protocols and over works, on the shared corpora.

    python benchmarks/published.py four      Bach, Beethoven, Chopin, Mozart of `classics` (hours on two cores; goes on where it stopped)
    python benchmarks/published.py nine      the nine composers
    python benchmarks/published.py maestro   ngram-linear on MAESTRO's composers of 16 performances or more

Trainings are kept under FUGATO_HOME/benchmark; the table goes to benchmarks/results/published_NAME.json.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from composers import FOUR, RESULTS, often_played
from held_out import corpora

from fugato.corpus import Corpus, audit, load_corpus
from fugato.models.names import home
from fugato.study.benchmark import benchmark
from fugato.study.benchmark_table import markdown

OF_FOUR = ("ngram-linear", "lstm", "bilstm-attention", "note-transformer", "pianoroll-cnn", "spectrogram-cnn")
OF_NINE = (
    "ngram-linear",
    "note-lstm",
    "spectrogram-cnn",
    "lstm",
    "bilstm-attention",
    "note-transformer",
    "pianoroll-cnn",
)


def chosen(name: str, corpus: Corpus) -> tuple[Corpus, tuple[str, ...], int]:
    """Pieces, recipes and folds of a table."""
    if name == "four":
        return corpus.filter(corpora={"classics"}, composers=FOUR), OF_FOUR, 5
    if name == "nine":
        return corpus.filter(corpora={"nine"}), OF_NINE, 5
    return often_played(corpus), ("ngram-linear",), 5


def in_order(rows: dict[str, Any], recipes: tuple[str, ...]) -> dict[str, Any]:
    """Rows of a table by recipe, those judged together last."""
    return {name: rows[name] for name in (*recipes, *(name for name in rows if name not in recipes)) if name in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("four", "nine", "maestro"))
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--recipes", help="only these, by commas")
    parser.add_argument("--protocols", default="published,filed,honest", help="'filed' is for nine alone")
    parser.add_argument("--budget", default="small")
    parser.add_argument("--draws", type=int, default=10, help="of published protocols that split few files")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("fugato.train.loop").setLevel(logging.DEBUG)
    report = audit(load_corpus(args.index or corpora() / "index.csv"))
    labelled = report.corpus.with_groups(list(report.groups))  # as filed: the published figures had those labels
    pieces, recipes, folds = chosen(args.what, labelled)
    if args.recipes:
        recipes = tuple(args.recipes.split(","))
    protocols = args.protocols.split(",")
    out = home() / "benchmark" / args.what
    options: dict[str, Any] = {"recipes": recipes, "folds": folds, "budget": args.budget, "draws": args.draws}
    if args.what == "nine" and "published" in protocols:  # the publication had the train folder alone
        learnt = pieces.filter(lambda piece: piece.split == "train")
        as_published = benchmark("composer", learnt, out=out / "train", protocols=("published",), **options)
        table = benchmark("composer", pieces, out=out, protocols=[p for p in protocols if p != "published"], **options)
        for name, row in as_published["recipes"].items():
            table["recipes"][name].update(row)
    else:
        table = benchmark("composer", pieces, out=out, protocols=[p for p in protocols if p != "filed"], **options)
    path = RESULTS / f"published_{args.what}.json"
    if path.exists():  # rows of other runs stay
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, row in before["recipes"].items():
            table["recipes"][name] = {**row, **table["recipes"].get(name, {})}
    table["recipes"] = in_order(table["recipes"], chosen(args.what, pieces)[1])
    path.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(markdown(table))


if __name__ == "__main__":
    main()
