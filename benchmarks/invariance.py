"""Does the same music get the same answer? Files transposed, played faster, flattened, merged and re-ticked; scores against performances.

    python benchmarks/invariance.py                  the shipped model (some minutes)
    python benchmarks/invariance.py --model DIR      another one
    python benchmarks/invariance.py --apart          the pairs by a model of other works (trained first, some minutes)

Files: `PIECES` MIDI files, drawn evenly from the corpora in `CORPORA`, each rewritten by symusic. "As it is" is the file read and written
again with nothing changed. Tempo: the tempo map is scaled; in a file without beats (a performance) the time itself is stretched. Ticks:
onsets and lengths are rounded to the new resolution, which moves the notes of a performance by up to half a tick.
Merging puts all pitched parts on one track and one channel: a note that another part is still holding is then cut by the second one, and
cannot be restored by anyone; the drums stay where they were.

Pairs: ASAP's scores with one performance each, of composers that the model knows. The scores are in the shipped model's training, their
performances are not; so the pairs are also asked of a model that has seen none of the works (--apart trains it: benchmarks/held_out.py).
Writes benchmarks/results/invariance.json; what is not measured stays there as it was.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from held_out import apart_from, as_typed, audited, cache, corpora

from fugato import FugatoError, identify, load_model, metrics
from fugato.answer import Answer
from fugato.read import read

RESULT = Path(__file__).resolve().parent / "results" / "invariance.json"
CORPORA = ("classics", "nine", "wide", "mutopia", "openscore", "asap", "maestro", "unseen")
PIECES = 320
SEED = 0
TRANSPOSED = (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)  # semitones
FASTER = (0.5, 0.75, 1.5, 2.0)
TICKS = (96, 240, 480, 1024)  # per quarter note
NAMED = 12  # changed answers that are kept for each kind of change
Change = Callable[[symusic.Score], symusic.Score]


def as_it_is(score: symusic.Score) -> symusic.Score:
    return score


def transposed(semitones: int) -> Change:
    def change(score: symusic.Score) -> symusic.Score:
        for track in score.tracks:
            if not track.is_drum:
                for note in track.notes:
                    note.pitch = min(max(note.pitch + semitones, 0), 127)
        return score

    return change


def faster(factor: float, beats: str) -> Change:
    """With beats, their tempo; without, everything is written later or earlier under the tempo that the file says."""

    def change(score: symusic.Score) -> symusic.Score:
        if beats == "notated":
            for tempo in score.tempos:
                tempo.qpm *= factor
            if not len(score.tempos):
                score.tempos.append(symusic.Tempo(0, 120.0 * factor))
            return score
        for track in score.tracks:
            for note in track.notes:
                end = note.time + note.duration
                note.time = round(note.time / factor)
                note.duration = max(round(end / factor) - note.time, 1)
        return score

    return change


def flattened(score: symusic.Score) -> symusic.Score:
    for track in score.tracks:
        for note in track.notes:
            note.velocity = 64
    return score


def merged(score: symusic.Score) -> symusic.Score:
    pitched = [track for track in score.tracks if not track.is_drum]
    one = symusic.Track("", 0, False)
    notes = sorted((note for track in pitched for note in track.notes), key=lambda n: (n.time, n.pitch, -n.duration))
    for note in notes:
        one.notes.append(note)
    score.tracks = [one, *(track for track in score.tracks if track.is_drum)]
    return score


def resampled(ticks: int) -> Change:
    return lambda score: score.resample(ticks, min_dur=1)


def changes(beats: str) -> Iterator[tuple[str, str, Change]]:
    """Kind, what exactly, and how."""
    yield "as it is", "", as_it_is
    for semitones in TRANSPOSED:
        yield "transposed", f"{semitones:+d}", transposed(semitones)
    for factor in FASTER:
        yield "tempo", f"x {factor:g}", faster(factor, beats)
    yield "velocities flattened", "", flattened
    yield "tracks merged", "", merged
    for ticks in TICKS:
        yield "ticks changed", str(ticks), resampled(ticks)


def sample(index: Path, n: int) -> list[dict[str, str]]:
    """MIDI files, as many of each of `CORPORA`, of any composer."""
    with index.open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["format"] in ("mid", "midi")]
    rng = random.Random(SEED)
    chosen = []
    for corpus in CORPORA:
        here = sorted((r for r in rows if r["corpus"] == corpus), key=lambda r: r["id"])
        chosen += rng.sample(here, min(len(here), n // len(CORPORA)))
    return chosen


def written(data: bytes, change: Change) -> bytes:
    out: bytes = change(symusic.Score.from_midi(data)).dumps_midi()
    return out


def same_answers(index: Path, model: str, n: int) -> dict[str, Any]:
    """The share of changed files with the name that the file itself got."""
    kept: dict[str, list[tuple[str, bool, float]]] = defaultdict(list)
    different: dict[str, list[dict[str, Any]]] = defaultdict(list)
    pieces = refused = 0
    for row in sample(index, n):
        path = index.parent / row["path"]
        data = path.read_bytes()
        try:
            symusic.Score.from_midi(data)
            beats = read(data).beats
            first = identify(data, model=model)
        except (FugatoError, RuntimeError, ValueError):  # not to be read or judged, here or by symusic
            refused += 1
            continue
        pieces += 1
        for kind, exactly, change in changes(beats):
            answer = identify(written(data, change), model=model)
            moved = max(abs(a - b) for a, b in _paired(first, answer))
            kept[kind].append((row["id"], answer.name == first.name, moved))
            if answer.name != first.name and len(different[kind]) < NAMED:
                different[kind].append(
                    {"piece": row["id"], "change": exactly, "beats": beats}
                    | {"was": [first.name, round(first.probability, 3)]}
                    | {"is": [answer.name, round(answer.probability, 3)]}
                )
    out: dict[str, Any] = {"pieces": pieces, "refused": refused, "corpora": list(CORPORA)}
    for kind, found in [*kept.items(), ("all changes", [f for k, v in kept.items() if k != "as it is" for f in v])]:
        out[kind] = {
            "files": len(found),
            "same_name": round(float(np.mean([same for _, same, _ in found])), 5),
            "pieces_all_the_same": round(_all_the_same(found), 5),
            "largest_move_of_a_probability": {
                "median": round(float(np.median([m for _, _, m in found])), 6),
                "99th percentile": round(float(np.quantile([m for _, _, m in found], 0.99)), 6),
            },
            "different": different[kind],
        }
        print(f"{kind:22} {out[kind]['files']:5} files  same name {out[kind]['same_name']:.4f}")
    return out


def _paired(a: Answer, b: Answer) -> Iterator[tuple[float, float]]:
    others = dict(b.ranking)
    return ((p, others[name]) for name, p in a.ranking)


def _all_the_same(found: list[tuple[str, bool, float]]) -> float:
    by_piece: dict[str, bool] = defaultdict(lambda: True)
    for piece, same, _ in found:
        by_piece[piece] &= same
    return float(np.mean(list(by_piece.values())))


def pairs(index: Path, model: str) -> dict[str, Any]:
    """ASAP's scores against one performance each."""
    known = load_model(model).labels
    with index.open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["corpus"] == "asap" and r["pair"] and r["composer"] in known]
    by_pair: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in sorted(rows, key=lambda r: r["id"]):
        role = "performance" if row["domain"] == "performance" else row["role"]
        by_pair[row["pair"]].setdefault(role, row)
    named: list[tuple[str, str, str]] = []
    for found in by_pair.values():
        score = found.get("midi_score")
        if score is None or "performance" not in found:
            continue
        try:
            a, b = (identify(index.parent / row["path"], model=model) for row in (score, found["performance"]))
        except FugatoError:
            continue
        named.append((score["composer"], a.name, b.name))
    truth, score_name, played_name = (np.array(column) for column in zip(*named, strict=True))

    def interval(hits: np.ndarray[Any, Any]) -> dict[str, Any]:
        found = metrics.bootstrap_interval(lambda one: float(np.mean(one)), hits, groups=np.arange(len(hits)))
        return {"share": round(float(hits.mean()), 4), "interval": [round(found.low, 4), round(found.high, 4)]}

    out = {
        "pairs": len(named),
        "composers": sorted(set(truth.tolist())),
        "same_name": interval(score_name == played_name),
        "both_right": interval((score_name == truth) & (played_name == truth)),
        "score_right": interval(score_name == truth),
        "performance_right": interval(played_name == truth),
    }
    print(f"{len(named)} pairs: same name {out['same_name']}, both right {out['both_right']}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--model", default="composer")
    parser.add_argument("--pieces", type=int, default=PIECES)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--apart", action="store_true", help="only the pairs, by a model that has not seen them")
    parser.add_argument("--folder", type=Path, default=cache(), help="where that model is kept")
    args = parser.parse_args()
    index = args.index or corpora() / "index.csv"
    result = json.loads(args.out.read_text()) if args.out.exists() else {}
    if args.apart:
        corpus = audited(index)
        works = {p.group for p in corpus if p.corpus == "asap"}
        model = apart_from(corpus, works, args.folder)
        result["score and performance, works not seen"] = pairs(index, str(model))
    else:
        card = load_model(args.model).card
        result |= {
            "command": as_typed(),
            "model": {"name": card.name, "version": card.version, "composers": len(card.labels)},
            "same answer": same_answers(index, args.model, args.pieces),
            "score and performance": pairs(index, args.model),
        }
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
