"""What a model that composes keeps to: endings, loops, copies, validity and speed, over many pieces.

    python benchmarks/compose_core.py --model compose --pieces 50 --out benchmarks/results/compose_core.json

Half of the pieces begin from nothing, half go on from eight bars that come with music21; styles in turn. A piece loops if one bar stands
more than eight times in a row, or one sound is struck more than sixteen times in a row (measured on the notes
that were written, whatever the guards say). It is valid if it is read back from its MIDI with the same notes, and notated if it is from
its MusicXML.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np

import fugato
from fugato.compose import NewBar, compose, load_generator, stream
from fugato.study.music_metrics import ending, loops

STYLES = ("Bach", "Mozart", "Chopin", "Schumann", "Haydn", "Schubert", "Giuliani", "Brahms")
SEEDS = ("Bach", "Mozart", "Haydn", "Schumann")


def measured(piece: fugato.Composition) -> dict[str, object]:
    new = piece.continuation
    score = piece.score
    with tempfile.TemporaryDirectory() as folder:
        back = fugato.read(fugato.write(score, Path(folder) / "piece.mid"))
        notated = fugato.read(fugato.write(score, Path(folder) / "piece.musicxml"))
    notes = sorted(zip(score.notes["onset"].round(4), score.notes["pitch"], strict=True))
    return {
        "loops": loops(new),
        "over_copy_limit": bool(piece.report["copy"]["limit"])
        and piece.report["copy"]["notes"] > piece.report["copy"]["limit"],
        "copied_notes": piece.report["copy"]["notes"],
        "by_rule": piece.report["ending"] == "by rule",
        "valid": notes == sorted(zip(back.notes["onset"].round(4), back.notes["pitch"], strict=True)),
        "notated": notes == sorted(zip(notated.notes["onset"].round(4), notated.notes["pitch"], strict=True)),
        "cadence": ending(score).is_cadence,
        "problems": len(piece.report["problems"]),
        "thrown_away": piece.report["loops_avoided"] + piece.report["copies_avoided"],
        "notes": piece.report["notes"],
        "notes_per_second": piece.report["notes_per_second"],
        "times_faster_than_it_plays": round(new.seconds / piece.report["seconds"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compose")
    parser.add_argument("--pieces", type=int, default=50)
    parser.add_argument("--bars", type=int, default=32)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    system = load_generator(asked.model)
    began = time.perf_counter()
    first = next(bar for bar in stream(STYLES[0], bars=2, random_seed=0, model=system) if isinstance(bar, NewBar))
    to_first = time.perf_counter() - began
    assert first.bar == 1
    rows = []
    for i in range(asked.pieces):
        seed = SEEDS[i // 2 % len(SEEDS)] if i % 2 else None
        piece = compose(STYLES[i % len(STYLES)], seed_composer=seed, bars=asked.bars, random_seed=i, model=system)
        rows.append(measured(piece))
        print(i, piece.options["style"], piece.options["seed"], rows[-1], flush=True)
    mean = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    result = {
        "model": {"name": system.model.card.name, "version": system.model.card.version},
        "pieces": asked.pieces,
        "bars": asked.bars,
        "mean": mean,
        "slowest_times_faster_than_it_plays": min(row["times_faster_than_it_plays"] for row in rows),
        "seconds_to_first_bar": round(to_first, 3),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
    }
    print(json.dumps(result, indent=1))
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
