"""Is the work itself recognised: MAESTRO and ASAP against an index of scores, works the index lacks, retrieval over ASAP's pairs.

    python benchmarks/recognise.py --index INDEX.csv        (some five minutes where the fingerprints are known already)

INDEX.csv is best the shared corpora's index as `fugato audit` corrects it, since works are told apart by its groups; a plain index is
audited first. The index of works that is asked is built here from scores alone, so no performance ever meets itself. Writes
benchmarks/results/recognise.json.

- *recognised*: the first edition is of the same group as what was asked, with enough evidence. For ASAP the collection itself says which
  score was played. For MAESTRO the group comes from fingerprints and from titles, and a title may name a work of which the scores have
  other parts only; `ABSENT` lists those, found by reading every miss.
- *false recognitions*: the asked piece's own group is passed over, as if the index had never seen the work. Pieces of one theme in two
  groups (a song and Liszt's transcription of it) are counted as false all the same; all are listed in the JSON.
- *excerpts*: 16 bars of the file, drawn with a seed; a bar of a performance lasts two seconds, as its file has one tempo of 120.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from fugato import metrics
from fugato.composer.recognise import LEAST_EVIDENCE, Match, matches
from fugato.corpus import Corpus, Piece, audit, load_corpus
from fugato.corpus.work_index import WorkIndex, locate
from fugato.corpus.works import fingerprint
from fugato.errors import FugatoError
from fugato.read import read
from fugato.represent.stream import stream
from fugato.score import Score

HERE: Final = Path(__file__).resolve().parent
RESULTS: Final = HERE / "results"
sys.path.insert(0, str(HERE.parent / "tools"))

from build_works import ENTRIES, WITHOUT, build, is_played, source  # noqa: E402

BARS: Final = 16
SEED: Final = 20
SAMPLE: Final = 1_500  # score files asked about works that are not indexed
SWEEP: Final = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0)  # of the evidence that is asked for
# Titles of MAESTRO whose group has scores, but not of this music: other pieces of the set, or another work of the same number.
ABSENT: Final[dict[str, str]] = {}


class Asked(NamedTuple):
    """One question: the piece, its work's number, and the best answers."""

    piece: Piece
    work: int
    found: list[Match]


def read_all(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Score]]:
    """Those that can be read."""
    for piece in pieces:
        try:
            yield piece, read(piece.path)
        except FugatoError:
            continue


def excerpt(score: Score, rng: np.random.Generator) -> Score:
    """So many bars from anywhere in the piece; all of a shorter one."""
    first = int(rng.integers(max(len(score.bars) - BARS, 0) + 1))
    return score.excerpt(first, min(first + BARS, len(score.bars)) - 1)


def right(asked: list[Asked], least: float) -> list[bool]:
    """Whether each was recognised as its own work."""
    return [bool(a.found) and a.found[0].evidence >= least and a.found[0].work == a.work for a in asked]


def named(asked: list[Asked], least: float) -> list[bool]:
    """Whether each was taken for any work."""
    return [bool(a.found) and a.found[0].evidence >= least for a in asked]


def summary(asked: list[Asked], hits: list[bool], sweep: dict[str, float]) -> dict[str, Any]:
    """The share with its interval, bootstrapped over works."""
    works = np.array([a.work for a in asked])
    truth = np.ones(len(asked), np.int64)
    answer = np.array(hits, np.int64)
    interval = metrics.bootstrap_interval(metrics.accuracy, truth, answer, groups=works)
    return {
        "pieces": len(asked),
        "works": len(set(works.tolist())),
        "value": interval.value,
        "interval": [interval.low, interval.high],
        "by least evidence": sweep,
    }


def recall(asked: list[Asked]) -> dict[str, Any]:
    sweep = {str(least): float(np.mean(right(asked, least))) for least in SWEEP}
    return summary(asked, right(asked, LEAST_EVIDENCE), sweep)


def false(asked: list[Asked], titles: dict[int, str]) -> dict[str, Any]:
    sweep = {str(least): float(np.mean(named(asked, least))) for least in SWEEP}
    wrong = sorted(
        (a for a, n in zip(asked, named(asked, SWEEP[0]), strict=True) if n), key=lambda a: -a.found[0].evidence
    )
    return summary(asked, named(asked, LEAST_EVIDENCE), sweep) | {"taken for": [told(a, titles) for a in wrong[:60]]}


def told(asked: Asked, titles: dict[int, str]) -> str:
    """One answer as a line for a reader."""
    best = asked.found[0] if asked.found else None
    what = f"{titles[best.edition]} ({best.evidence:.1f}; {best.hits} grams, {best.share:.0%})" if best else "nothing"
    return f"{asked.piece.composer}: {asked.piece.title} [{asked.piece.id}] -> {what}"


def retrieval(corpus: Corpus) -> dict[str, Any]:
    """Score to performance over ASAP's pairs, one performance a score, all grams kept."""
    scores = {p.pair: p for p in corpus if p.corpus == "asap" and p.role == "midi_score"}
    plays: dict[str, Piece] = {}
    for p in corpus:
        if p.corpus == "asap" and p.role == "performance" and p.pair in scores:
            plays.setdefault(p.pair, p)
    pairs = sorted(plays)
    played = [fingerprint(stream(s)) for _, s in read_all(plays[pair] for pair in pairs)]
    index = WorkIndex.build(played, list(range(len(played))), entries=10**9)
    found = []
    for i, (_, score) in enumerate(read_all(scores[pair] for pair in pairs)):
        best = matches(index, np.arange(len(index)), locate(stream(score)))
        found.append(bool(best) and best[0].edition == i)
    if not len(played) == len(found) == len(pairs):
        raise AssertionError("a file of a pair cannot be read")
    return {
        "pairs": len(pairs),
        "recall_at_1": float(np.mean(found)),
        "missed": [
            f"{scores[pair].composer}: {scores[pair].title}" for pair, hit in zip(pairs, found, strict=True) if not hit
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    args = parser.parse_args()
    started = time.perf_counter()
    corpus = load_corpus(args.index)
    if any(p.group is None for p in corpus):
        report = audit(corpus)
        corpus = Corpus((p for p in report.corrected() if p.id not in report.excluded), corpus.name)
    scores = corpus.filter(lambda p: not is_played(p), exclude_corpora=WITHOUT)
    index, editions, _ = build(scores, jobs=1, entries=ENTRIES)
    pieces = list(scores)
    names = sorted({p.group or p.id for p in pieces})
    number = {name: i for i, name in enumerate(names)}
    works = np.array([e.work for e in editions])
    titles = {i: f"{pieces[e.members[0]].composer}: {pieces[e.members[0]].title}" for i, e in enumerate(editions)}
    print(f"{len(editions):,} editions of {len(set(works.tolist())):,} works, {len(index.rest):,} grams", flush=True)

    rng = np.random.default_rng(SEED)
    sample = rng.choice(len(pieces), SAMPLE, replace=False)
    parts = {
        "maestro": [p for p in corpus if p.corpus == "maestro"],
        "asap": [p for p in corpus if source(p) == "asap:performance"],
        "scores": [pieces[i] for i in sorted(sample.tolist())],
        "unseen": [p for p in corpus if p.corpus == "unseen"],
    }
    asked: dict[str, list[Asked]] = {}
    for part, wanted in parts.items():
        for piece, score in read_all(wanted):
            work = number.get(piece.group or piece.id, -1)
            for extent, music in (("whole", score), (f"{BARS} bars", excerpt(score, rng))):
                grams = locate(stream(music))
                if part in ("maestro", "asap") and work >= 0:
                    asked.setdefault(f"{part}, {extent}", []).append(Asked(piece, work, matches(index, works, grams)))
                if part != "asap":
                    others = matches(index, works, grams, apart_from=(work,))
                    asked.setdefault(f"not indexed: {part}, {extent}", []).append(Asked(piece, work, others))
        print(part, round(time.perf_counter() - started), "s", flush=True)

    out: dict[str, Any] = {
        "index": {
            "from": "scores alone",
            "editions": len(editions),
            "works": len(set(works.tolist())),
            "grams": len(index.rest),
        },
        "least_evidence": LEAST_EVIDENCE,
        "recognised": {},
        "not indexed": {},
        "figures": [],
    }
    for name, rows in asked.items():
        if name.startswith("not indexed: "):
            out["not indexed"][name.removeprefix("not indexed: ")] = false(rows, titles)
            continue
        result = recall(rows)
        misses = [told(a, titles) for a, hit in zip(rows, right(rows, LEAST_EVIDENCE), strict=True) if not hit]
        if name.startswith("maestro"):
            here = [a for a in rows if a.piece.title not in ABSENT]
            result = {"every title whose group has a score": result, "music that the scores have": recall(here)}
        out["recognised"][name] = {**result, "missed": misses}
    out["retrieval"] = retrieval(corpus)
    out["figures"] = figures(out)
    for row in out["figures"]:
        print(f"{row['name']}: {row['value']:.4f} {row.get('interval', '')} ({row['n']:,})")
    print(f"{time.perf_counter() - started:.0f} s")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "recognise.json"
    path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(HERE.parent)}")


def figures(out: dict[str, Any]) -> list[dict[str, Any]]:
    """What a card shows."""
    rows = []
    for name, result in out["recognised"].items():
        kept = result.get("music that the scores have", result)
        protocol = "index of scores alone, the score is indexed"
        rows.append(("recognised: " + name, kept, protocol))
    for name, result in out["not indexed"].items():
        rows.append(("false recognitions: " + name, result, "the own work passed over"))
    shown = [
        {"name": name, "value": r["value"], "interval": r["interval"], "protocol": protocol, "n": r["pieces"]}
        for name, r, protocol in rows
    ]
    found = out["retrieval"]
    return [
        *shown,
        {
            "name": "score to performance, recall at 1",
            "value": found["recall_at_1"],
            "protocol": "all ASAP pairs, one performance a score",
            "n": found["pairs"],
        },
    ]


if __name__ == "__main__":
    main()
