"""Make the shipped style space again, in one command (about half an hour on one core, most of it reading).

    python tools/build_style.py INDEX.csv

INDEX.csv lists the shared corpora. They are audited first, so that labels are corrected and works told apart, unless the index is one that
`fugato audit --out` has written. The space is learnt from score
collections alone, without any work that ASAP has, so that the retrieval of its performances can be measured on works that are new to it.
The tables of what a cosine means come from a space learnt from four fifths of the works, on the other fifth.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fugato import __version__
from fugato.corpus import Corpus, audit, grouped_kfold, load_corpus
from fugato.metrics import bootstrap_interval
from fugato.models import Card, save_model
from fugato.represent import ngrams
from fugato.represent.style_space import SKETCH
from fugato.train import style

OUT = Path(__file__).resolve().parent.parent / "src" / "fugato" / "models" / "shipped" / "composer-style"
WITHOUT = ("maestro", "asap", "nine", "unseen", "hostile", "gtzan")
LIMITS = (
    "Style as n-grams of the notes see it: nothing is known of timbre, words, dynamics or form.",
    "Pieces under some 100 notes, single parts and arrangements lie less reliably.",
    "Composers and works are told apart by the collections' labels and an audit; some are wrong.",
)


def audited(index: Path, jobs: int = 1) -> Corpus:
    """The collections with works and corrected labels, without what the audit leaves out."""
    corpus = load_corpus(index)
    if any(p.group for p in corpus):
        return corpus
    report = audit(corpus, jobs=jobs)
    return report.corrected().filter(lambda p: p.id not in report.excluded)


def learnt_from(corpus: Corpus) -> Corpus:
    """The score collections without the works that ASAP has."""
    reserved = {p.group for p in corpus if p.corpus == "asap"}
    return corpus.filter(lambda p: p.group not in reserved, exclude_corpora=WITHOUT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    corpus = learnt_from(audited(args.index, args.jobs))
    make(style.prepare(corpus, jobs=args.jobs), args.out, args.version)
    print(f"the style space is in {args.out}")


def make(sketches: style.Sketches, out: Path, version: str) -> None:
    """Learn the space and its tables, judge it on works left out, and write the model folder."""
    works, composers = sketches.works, sketches.composers
    split = grouped_kfold(composers.tolist(), works.tolist(), 5, 0, ids=[p.id for p in sketches.pieces])
    learn, judge = next(iter(split.sides()))
    vectors = style.project(style.fit(sketches, learn), sketches)
    tables = style.tables(vectors[judge], works[judge].tolist(), composers[judge].tolist())
    asked, known = one_a_work(judge, works), one_a_work(learn, works)
    right = composers[asked] == np.array(style.nearest_names(vectors[asked], vectors[known], composers[known]))
    accuracy = bootstrap_interval(np.mean, right.astype(float), groups=works[asked])
    space = style.fit(sketches)
    card = Card(
        name="style",
        version=version,
        task="composer",
        recipe="style-space",
        labels={},
        representation={
            "name": "style-space",
            "settings": {"version": ngrams.VERSION, "sketch": 2 * SKETCH, "dimensions": space.n_dimensions},
        },
        corpora=tuple(
            {"name": name, "licence": licence, "pieces": n}
            for name, licences in Corpus(sketches.pieces).licences().items()
            for licence, n in licences.items()
        ),
        figures=(
            {
                "name": "accuracy of the five nearest works",
                "value": round(accuracy.value, 4),
                "interval": [round(accuracy.low, 4), round(accuracy.high, 4)],
                "protocol": f"a fifth of the works left out, a file a work, among {len(set(composers[known]))} composers",
                "n": len(asked),
            },
        ),
        calibration={
            "method": "quantiles of the cosine over pairs of works, a fifth of all, from which the space had not been learnt",
            "works": len(asked),
        },
        limits=LIMITS,
        licence="CC BY-NC-SA 4.0",
        made={
            "fugato": __version__,
            "works": len(set(works.tolist())),
            "copies as if played": len(sketches.original),
            "unreadable": len(sketches.failed),
            "without": [*WITHOUT, "every work that asap has"],
            "settings": {
                "composer_share": style.COMPOSER_SHARE,
                "shrinkage": style.SHRINKAGE,
                "least_works": style.LEAST_WORKS,
            },
        },
    )
    save_model(out, card, {"weights": space.arrays(), "tables": tables})


def one_a_work(rows: NDArray[np.int64], works: NDArray[Any]) -> NDArray[np.int64]:
    """The first of the rows of each work, ascending."""
    _, first = np.unique(works[rows], return_index=True)
    chosen: NDArray[np.int64] = rows[np.sort(first)]
    return chosen


if __name__ == "__main__":
    main()
