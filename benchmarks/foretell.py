"""How well systems that compose foretell held-out music: nats a note event, on the same excerpts of works that none of them has learnt.

    python benchmarks/foretell.py MODEL [MODEL …] --index INDEX.csv [--pieces 60]

The models must have been trained on this index by tools/train_compose.py with its seed, so that their test part is the same. A piece of
each of so many works, its first `NOTES` notes. Onset, pitch and duration are told apart as the systems tell them (see
docs/systems-that-compose.md); intervals are bootstrapped over works. Writes benchmarks/results/foretell.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from fugato.compose import load_generator
from fugato.corpus import load_corpus
from fugato.errors import FugatoError
from fugato.represent import tokens as t
from fugato.score import Score
from fugato.train import phrases as ph

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "foretell.json"
NOTES = 300


def without() -> tuple[str, ...]:
    """Collections that tools/train_compose.py leaves out."""
    spec = importlib.util.spec_from_file_location("train_compose_tool", ROOT / "tools" / "train_compose.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(module.WITHOUT)


def excerpts(phrases: ph.Phrases, most: int) -> list[tuple[Score, str, str]]:
    """The beginning of one piece of each held-out work, with its composer and work."""
    found: dict[str, tuple[Score, str, str]] = {}
    for i in phrases.of("test"):
        about = phrases.pieces[int(i)]
        if about["group"] in found:
            continue
        rows = phrases.tokens(int(i))
        score = t.decode(t.Tokens(rows, tuple(about["programs"])))
        if len(score) < NOTES:
            continue
        last = int(score.bar_of(float(score.notes["onset"][NOTES - 1])))
        found[about["group"]] = (score.excerpt(0, max(last - 1, 0)), about["composer"], about["group"])
    works = sorted(found)
    chosen = np.random.default_rng(0).permutation(len(works))[:most]
    return [found[works[i]] for i in sorted(chosen.tolist())]


def measured(model: str, pieces: list[tuple[Score, str, str]]) -> dict[str, Any]:
    """Nats a note of one system, with an interval, and by part."""
    system = load_generator(model)
    nats, notes, by = [], [], []
    began = time.process_time()
    for score, composer, _ in pieces:
        try:
            found = system.nll(score, style=composer)
        except FugatoError:  # a composer of whom it knows nothing
            found = system.nll(score)
        nats.append(found.nats)
        notes.append(found.notes)
        by.append(found.by)
    draws = np.random.default_rng(1).integers(0, len(nats), (2000, len(nats)))
    a, n = np.array(nats), np.array(notes)
    low, high = np.quantile(a[draws].sum(axis=1) / n[draws].sum(axis=1), [0.025, 0.975])
    return {
        "model": system.model.card.name,
        "recipe": system.model.card.recipe,
        "nats a note": round(float(a.sum() / n.sum()), 3),
        "interval": [round(float(low), 3), round(float(high), 3)],
        "by": {key: round(float(sum(b[key] for b in by) / n.sum()), 3) for key in by[0]},
        "notes": int(n.sum()),
        "works": len(nats),
        "seconds": round(time.process_time() - began, 1),
        "made": {
            k: v
            for k, v in system.model.card.made.items()
            if k in ("epochs", "steps", "parameters", "notes", "seconds")
        },
        "settings": system.model.card.made.get("settings", {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=60)
    parser.add_argument(
        "--steps", type=Path, default=Path("foretell.phrases"), help="where the steps of the index are kept"
    )
    asked = parser.parse_args()
    corpus = load_corpus(asked.index)
    left_out = set(without())
    corpus = corpus.filter(lambda piece: piece.corpus not in left_out, licence_open=True)
    phrases = ph.prepare(corpus, asked.steps)
    pieces = excerpts(phrases, asked.pieces)
    found = [measured(model, pieces) for model in asked.models]
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
