"""How well systems that compose foretell held-out music: nats a note event, on the same excerpts of works that none of them has learnt.

    python benchmarks/foretell.py MODEL [MODEL …] --index INDEX.csv [--pieces 60]

The models must have been trained on this index by tools/train_compose.py with its seed, so that their test part is the same. A piece of
each of so many works, its first 300 notes. Onset, pitch and duration are told apart as the systems tell them (see
docs/systems-that-compose.md); intervals are bootstrapped over works. INDEX may be a folder that tools/train_compose.py packed. Writes
benchmarks/results/foretell.json; rows of other models stay there, if they foretold the same notes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from fugato.compose import load_generator
from fugato.corpus import load_corpus
from fugato.study.foretell import Held, excerpts, foretold, nats_a_note, parts_a_note
from fugato.train import phrases as ph

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from train_compose import WITHOUT  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "foretell.json"


def measured(model: str, pieces: list[Held]) -> dict[str, Any]:
    """Nats a note of one system, with an interval, and by part."""
    system = load_generator(model)
    began = time.process_time()
    found = foretold(system, pieces)
    value = nats_a_note(found, [piece.work for piece in pieces])
    made = system.model.card.made
    return {
        "model": system.model.card.name,
        "recipe": system.model.card.recipe,
        "nats a note": round(value.value, 3),
        "interval": [round(value.low, 3), round(value.high, 3)],
        "by": {key: round(part, 3) for key, part in parts_a_note(found).items()},
        "notes": sum(f.notes for f in found),
        "works": len(pieces),
        "seconds": round(time.process_time() - began, 1),
        "made": {k: v for k, v in made.items() if k in ("epochs", "steps", "parameters", "notes", "seconds")},
        "settings": made.get("settings", {}),
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
    if (asked.index / "phrases.json").is_file():
        phrases = ph.load(asked.index)
    else:
        corpus = load_corpus(asked.index)
        left_out = set(WITHOUT)
        corpus = corpus.filter(lambda piece: piece.corpus not in left_out, licence_open=True)
        phrases = ph.prepare(corpus, asked.steps)
    pieces = excerpts(phrases, asked.pieces)
    found = [measured(model, pieces) for model in asked.models]
    earlier = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else []
    same = [row for row in earlier if (row["notes"], row["works"]) == (found[0]["notes"], found[0]["works"])]
    found = [row for row in same if row["model"] not in {new["model"] for new in found}] + found
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
