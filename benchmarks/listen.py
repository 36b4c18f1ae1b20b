"""What an update of a Listener costs, at any length: MAESTRO's longest performances, one after another, played into one listener.

    python benchmarks/listen.py

An update is one note and one look at the ranking. Every `EVERY` notes one is timed, in one process with one thread; the garbage collector
runs as it does for everybody. Two clocks: the wall's, which also counts what other programs of the machine take (see the load), and
the process's own. Writes benchmarks/results/listen.json.
"""

from __future__ import annotations

import argparse
import csv
import gc
import itertools
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from held_out import corpora

import fugato
from fugato.composer.listen import LIVE_NOTES
from fugato.models import load_model

RESULT = Path(__file__).resolve().parent / "results" / "listen.json"
NOTES = 20_000
EVERY = 20
STAGES = (0, 500, 1000, 2000, 4000, 8000, 20_000)


def summary(cost: np.ndarray) -> dict[str, float]:
    """Of milliseconds."""
    return {
        "median": round(float(np.median(cost)), 2),
        "99th percentile": round(float(np.quantile(cost, 0.99)), 2),
        "worst": round(float(cost.max()), 2),
        "over 20 ms": int((cost > 20).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--model", default="composer")
    args = parser.parse_args()
    index = args.index or corpora() / "index.csv"
    with index.open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["corpus"] == "maestro" and r["notes"]]
    rows.sort(key=lambda r: (-int(r["notes"]), r["id"]))
    del rows[20:]
    gc.collect()
    load = os.getloadavg()[0]
    began = time.perf_counter()
    listener = fugato.Listener(args.model)
    starting = time.perf_counter() - began
    costs: list[tuple[int, float, float]] = []
    shift, pieces, score = 0.0, 0, None
    while len(listener) < NOTES:
        score = fugato.read(index.parent / rows[pieces]["path"])
        for note in score.notes:
            began, worked = time.perf_counter(), time.process_time()
            listener.note(int(note["pitch"]), shift + float(note["onset_seconds"]), float(note["duration_seconds"]))
            if len(listener) % EVERY == 0:
                ranking = listener.ranking
                taken = time.perf_counter() - began, time.process_time() - worked
                costs.append((len(listener), 1e3 * taken[0], 1e3 * taken[1]))
            if len(listener) == NOTES:
                break
        shift, pieces = shift + score.seconds + 2.0, pieces + 1
    assert ranking
    began = time.perf_counter()
    whole = listener.answer()
    answering = time.perf_counter() - began
    at, wall, own = np.array(costs).T
    out = {
        "what": "milliseconds of one note and one look at the ranking, by the notes so far",
        "notes": len(listener),
        "performances": pieces,
        "live_notes": LIVE_NOTES,
        "model": load_model(args.model).card.version,
        "cpus": os.cpu_count(),
        "load_before": round(load, 2),
        "updates": len(at),
        "making_the_listener_ms": round(1e3 * starting, 1),
        "the_whole_answer_ms": round(1e3 * answering, 1),
        "collections_of_garbage": gc.get_stats()[2]["collections"],
        "stages": {},
    }
    for low, high in [*itertools.pairwise(STAGES), (0, NOTES)]:
        here = (at > low) & (at <= high)
        label = "all" if (low, high) == (0, NOTES) else f"{low + 1}-{high}"
        out["stages"][label] = {"wall": summary(wall[here]), "own": summary(own[here])}
        print(f"{label:12} {out['stages'][label]}")
    print(f"the whole answer to {len(listener):,} notes: {whole.name}, {1e3 * answering:.0f} ms; load {load:.1f}")
    RESULT.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
