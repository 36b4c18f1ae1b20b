"""Do the rules of `fugato.compose.humanise` go the way that people play? Against the performances of ASAP.

    python benchmarks/humanise.py [--index INDEX.csv] [--pairs 100]

A score and one performance of it, aligned where their upper voices share `RUN` pitches or more in a row. There: the correlation of the
rules' velocities with the performer's, and of the rules' tempo with the performer's (beat by beat, both relative to their median over
`AROUND` beats, so that changes of tempo that the composer wrote do not count). 0 is what no rules, or rules of chance, would give;
intervals are bootstrapped over pieces. Writes benchmarks/results/humanise.json.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from held_out import corpora
from numpy.typing import NDArray

import fugato
from fugato import metrics
from fugato.compose import playing as h
from fugato.errors import FugatoError
from fugato.score import Score

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "humanise.json"
RUN = 8
AROUND = 16
CHORD = 0.05  # seconds within which performed notes are one chord


def upper(score: Score, times: str, together: float) -> NDArray[np.int64]:
    """Indices of the highest note of each chord."""
    notes = score.notes
    starts = np.flatnonzero(np.diff(notes[times], prepend=-np.inf) > together)
    chords = np.split(np.arange(len(notes)), starts[1:])
    return np.array([chord[np.argmax(notes["pitch"][chord])] for chord in chords])


def aligned(score: Score, played: Score) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Notes of the score, the same notes of the performance, and the number of the run they stand in."""
    a, b = upper(score, "onset", 1e-6), upper(played, "onset_seconds", CHORD)
    first, second = ("".join(map(chr, s.notes["pitch"][i])) for s, i in ((score, a), (played, b)))
    blocks = [
        m for m in difflib.SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks() if m.size >= RUN
    ]
    left = np.concatenate([a[m.a : m.a + m.size] for m in blocks] or [np.zeros(0, np.int64)])
    right = np.concatenate([b[m.b : m.b + m.size] for m in blocks] or [np.zeros(0, np.int64)])
    run = np.concatenate([np.full(m.size, i) for i, m in enumerate(blocks)] or [np.zeros(0, np.int64)])
    return left, right, run


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    return float(np.corrcoef(a, b)[0, 1]) if len(a) >= 30 and np.std(a) > 0 and np.std(b) > 0 else None


def one(score: Score, played: Score) -> dict[str, Any] | None:
    """What the rules and the performer have in common in one piece."""
    left, right, run = aligned(score, played)
    if len(left) < 60:
        return None
    phrases = h.phrase_starts(score)
    loud = correlation(h.velocity_rules(score, phrases)[left], played.notes["velocity"][right].astype(float))
    onset, seconds = score.notes["onset"][left], played.notes["onset_seconds"][right]
    steps, times = np.diff(onset), np.diff(seconds)
    fine = (np.diff(run) == 0) & (steps > 1e-6) & (times > 0.02)
    beat = np.floor(onset[:-1][fine])
    tempo, where = [], []
    for b in np.unique(beat):
        inside = beat == b
        if (total := steps[fine][inside].sum()) >= 0.5:
            tempo.append(np.log(total / times[fine][inside].sum()))
            where.append(b)
    found, at = np.array(tempo), np.array(where)
    if len(found) < 30:
        return {"notes": len(left), "velocity": loud, "tempo": None}
    local = found - np.array([np.median(found[np.abs(at - b) <= AROUND]) for b in at])
    said = np.log(h.tempo_rules(score, phrases, at + 0.5))
    said = said - np.array([np.median(said[np.abs(at - b) <= AROUND]) for b in at])
    kept = np.abs(local) < np.log(3)  # what is beyond is an error of the alignment
    return {"notes": len(left), "velocity": loud, "tempo": correlation(said[kept], local[kept])}


def summary(values: list[float]) -> dict[str, Any]:
    array = np.array(values)
    found = metrics.bootstrap_interval(lambda v: float(np.mean(v)), array, groups=np.arange(len(array)))
    return {
        "pieces": len(array),
        "mean_correlation": round(float(array.mean()), 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
        "share_positive": round(float((array > 0).mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    index = args.index or corpora() / "index.csv"
    by_pair: dict[str, dict[str, str]] = defaultdict(dict)
    with index.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["corpus"] == "asap" and row["pair"]:
                by_pair[row["pair"]].setdefault(
                    "played" if row["domain"] == "performance" else row["role"], row["path"]
                )
    pairs = sorted(k for k, v in by_pair.items() if {"midi_score", "played"} <= set(v))
    chosen = [pairs[i] for i in sorted(np.random.default_rng(0).permutation(len(pairs))[: args.pairs])]
    rows = []
    for name in chosen:
        try:
            score, played = (fugato.read(index.parent / by_pair[name][role]) for role in ("midi_score", "played"))
        except FugatoError:
            continue
        if (row := one(score, played)) is not None:
            rows.append(row)
    result = {
        "pairs": len(chosen),
        "aligned": len(rows),
        "notes": sum(row["notes"] for row in rows),
        "velocity": summary([row["velocity"] for row in rows if row["velocity"] is not None]),
        "tempo": summary([row["tempo"] for row in rows if row["tempo"] is not None]),
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
