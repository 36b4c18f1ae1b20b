"""Fine-tuning as a user would: twenty pieces of a composer whom the shipped model has not learnt, minutes on one core, before and after.

    python benchmarks/fine_tune.py --index INDEX.csv [--composers Barrios Byrd Ponce] [--pieces 20]

INDEX.csv has been audited: works are told apart there. For each composer, twenty works are learnt (`fugato train compose FOLDER --from
compose`), and the first `NOTES` notes of other works of the same composer are foretold by the model before and after, without a style. The
interval of the gain is bootstrapped over works. Writes benchmarks/results/fine_tune.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import fugato
from fugato import metrics
from fugato.compose import load_generator
from fugato.corpus import Corpus, load_corpus
from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.score import Score
from fugato.train.compose import train_compose

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "fine_tune.json"
COMPOSERS = ("Barrios", "Byrd", "Ponce")
HELD_OUT = 15
NOTES = 300


def works(corpus: Corpus, composer: str, most: int) -> list[Any]:
    """One file of each of so many works, in an order drawn once."""
    own: dict[str, Any] = {}
    for piece in corpus.filter(composers=[composer], domain="score"):
        own.setdefault(piece.group or piece.id, piece)
    names = sorted(own)
    return [own[names[i]] for i in np.random.default_rng(0).permutation(len(names))[:most]]


def beginning(score: Score) -> Score:
    if len(score) <= NOTES:
        return score
    return score.excerpt(0, max(int(score.bar_of(float(score.notes["onset"][NOTES]))) - 1, 0))


def foretold(model: str | Path, scores: list[Score]) -> list[tuple[float, int]]:
    """Nats and notes of each piece."""
    system = load_generator(str(model))
    return [(found.nats, found.notes) for found in (system.nll(score) for score in scores)]


def one(corpus: Corpus, composer: str, pieces: int, base: str) -> dict[str, Any]:
    chosen = works(corpus, composer, pieces + 3 * HELD_OUT)
    learn, rest = chosen[:pieces], chosen[pieces:]
    scores: list[Score] = []
    for piece in rest:
        try:
            score = beginning(fugato.read(piece.path))
            if score.beats == "notated" and len(score) >= 50 and len(scores) < HELD_OUT:
                scores.append(score)
        except FugatoError:
            continue
    with tempfile.TemporaryDirectory() as folder:
        began, spent = time.perf_counter(), time.process_time()
        tuned = train_compose(Corpus(learn, composer), out=Path(folder) / "tuned", from_model=base, jobs=1)
        seconds, processor = time.perf_counter() - began, time.process_time() - spent
        before, after = foretold(base, scores), foretold(tuned, scores)
        made = load_model(tuned).card.made
    nats = np.array([[b[0], a[0]] for b, a in zip(before, after, strict=True)])
    notes = np.array([b[1] for b in before], float)

    def gain(rows: np.ndarray[Any, Any], n: np.ndarray[Any, Any]) -> float:
        return float((rows[:, 0] - rows[:, 1]).sum() / n.sum())

    found = metrics.bootstrap_interval(gain, nats, notes, groups=np.arange(len(notes)))
    return {
        "pieces": len(learn),
        "held_out_works": len(scores),
        "notes": int(notes.sum()),
        "nll_before": round(float(nats[:, 0].sum() / notes.sum()), 4),
        "nll_after": round(float(nats[:, 1].sum() / notes.sum()), 4),
        "gain": round(found.value, 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
        "seconds": round(seconds),
        "processor_seconds": round(processor),
        "steps": made["steps"],
        "best_step": made["best_step"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--composers", nargs="+", default=list(COMPOSERS))
    parser.add_argument("--pieces", type=int, default=20)
    parser.add_argument("--model", default="compose")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    corpus = load_corpus(args.index)
    base = load_model(args.model)
    learnt = {composer for _, composer in base.json("works")}
    result: dict[str, Any] = {"model": {"name": base.card.name, "version": base.card.version}, "composers": {}}
    for composer in args.composers:
        if composer in learnt:
            raise SystemExit(f"The model has learnt pieces by {composer} already; name others.")
        result["composers"][composer] = one(corpus, composer, args.pieces, args.model)
        print(composer, json.dumps(result["composers"][composer]), flush=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
