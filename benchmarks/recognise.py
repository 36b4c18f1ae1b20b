"""Is the work itself recognised: MAESTRO and ASAP against an index of scores, works the index lacks, retrieval over ASAP's pairs.

    python benchmarks/recognise.py INDEX.csv                     all of it (some minutes where the fingerprints are known already)
    python benchmarks/recognise.py INDEX.csv maestro asap        these parts, the others as they were measured before

INDEX.csv is best the shared corpora's index as `fugato audit` corrects it, since works are told apart by its groups; a plain index is
audited first. The index of works that is asked is built here from scores alone, so no performance ever meets itself; it is kept in
FUGATO_HOME/benchmark. Writes benchmarks/results/recognise.json.

- *recognised*: the first edition is of the same group as what was asked, with enough evidence. For ASAP the collection itself says which
  score was played. For MAESTRO the group comes from fingerprints and from titles, and a title may name a work of which the scores have
  other parts only; `ABSENT` lists those, found by reading every miss of a whole performance beside the titles of its group.
- *false recognitions*: the asked piece's own group is passed over, as if the index had never seen the work. Those of music that stands in
  two groups count as false; `THERE` lists the ones that were read and found right, and a second figure leaves them out.
- *excerpts*: 16 bars of the file, drawn with a seed; a bar of a performance lasts two seconds, as its file has one tempo of 120.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from fugato import metrics
from fugato.composer.recognise import LEAST_EVIDENCE, Match, matches
from fugato.corpus import Corpus, Piece, audit, editions, load_corpus, work_index
from fugato.corpus.work_index import WorkIndex, locate
from fugato.corpus.works import fingerprint
from fugato.errors import FugatoError
from fugato.models import home
from fugato.read import read
from fugato.represent.stream import stream
from fugato.score import Score

HERE: Final = Path(__file__).resolve().parent
RESULTS: Final = HERE / "results"
sys.path.insert(0, str(HERE.parent / "tools"))

from build_works import ENTRIES, WITHOUT, build, is_played, source  # noqa: E402

PARTS: Final = ("maestro", "asap", "scores", "unseen", "retrieval")
BARS: Final = 16
SEED: Final = 20
SAMPLE: Final = 1_500  # score files asked about works that are not indexed
SWEEP: Final = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0)  # of the evidence that is asked for
REPEATS: Final = re.compile(r"(_no)?(_first|_2)?_repeat$")  # ASAP has some pieces twice, with repeats and without
# Performances of MAESTRO whose group has scores, but none of this music.
ABSENT: Final[dict[str, tuple[str, ...]]] = {
    "the scores have other Études-Tableaux of op. 33 only": ("maestro-00002",),
    "Beethoven's op. 35 joined with Chopin's, as one performance is labelled; no score of it": (
        "maestro-00018",
        "maestro-00079",
        "maestro-00423",
        "maestro-00486",
    ),
    "Hob. XVI:50, other movements than the first, which alone is there": ("maestro-00020", "maestro-00021"),
    "Tarantella of Venezia e Napoli; the scores have Gondoliera and Canzone": (
        "maestro-00340",
        "maestro-00567",
        "maestro-00660",
        "maestro-00992",
        "maestro-01069",
    ),
    "La leggierezza; the scores have another Étude of S. 144": (
        "maestro-00533",
        "maestro-00557",
        "maestro-00713",
        "maestro-00942",
        "maestro-00983",
        "maestro-01087",
    ),
    "the scores have other Hungarian Rhapsodies": ("maestro-00584",),
    "the scores have Moments musicaux 2, 4 and 6 only": (
        "maestro-00630",
        "maestro-00632",
        "maestro-00634",
        "maestro-00696",
        "maestro-01201",
    ),
    "Chasse-neige; the scores have other Transcendental Études": ("maestro-01101",),
    "a setting for the piano; the scores have the orchestra or the song": (
        "maestro-00029",
        "maestro-00177",
        "maestro-00186",
        "maestro-00257",
        "maestro-00259",
    ),
}


# Pieces whose own group was passed over and who were rightly recognised all the same: the music stands in another group too.
THERE: Final[dict[str, tuple[str, ...]]] = {
    "a hymn under its words, and under its tune": ("unseen-00059", "unseen-00066"),
    "one chorale melody, harmonised twice or filed twice": (
        "mutopia-00841",
        "mutopia-01188",
        "classics-00304",
        "classics-00549",
        "nifc-00335",
    ),
    "the same piece, which the groups do not join": (
        "wide-03275",
        "classics-02084",
        "wide-04575",
        "wide-06006",
        "maestro-00709",
        "maestro-00717",
    ),
    "made of the other's themes: Soirées de Vienne no. 6, Variations on a theme of Handel": (
        "maestro-00404",
        "maestro-01239",
    ),
}


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


def false(asked: list[Asked], titles: list[str]) -> dict[str, Any]:
    sweep = {str(least): float(np.mean(named(asked, least))) for least in SWEEP}
    wrong = sorted(
        (a for a, n in zip(asked, named(asked, SWEEP[0]), strict=True) if n), key=lambda a: -a.found[0].evidence
    )
    return summary(asked, named(asked, LEAST_EVIDENCE), sweep) | {"taken for": [told(a, titles) for a in wrong[:60]]}


def told(asked: Asked, titles: list[str]) -> dict[str, Any]:
    """One answer for a reader."""
    out: dict[str, Any] = {"id": asked.piece.id, "piece": f"{asked.piece.composer}: {asked.piece.title}"}
    if asked.found:
        best = asked.found[0]
        out |= {"for": titles[best.edition], "evidence": round(best.evidence, 1), "grams": best.hits}
    return out


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
    for _, score in read_all(scores[pair] for pair in pairs):
        best = matches(index, np.arange(len(index)), locate(stream(score)))
        found.append(pairs[best[0].edition] if best else "")
    if not len(played) == len(found) == len(pairs):
        raise AssertionError("a file of a pair cannot be read")
    return {
        "pairs": len(pairs),
        "recall_at_1": float(np.mean([a == b for a, b in zip(pairs, found, strict=True)])),
        "recall_at_1, with or without repeats": float(
            np.mean([REPEATS.sub("", a) == REPEATS.sub("", b) for a, b in zip(pairs, found, strict=True)])
        ),
        "found another": {a: b for a, b in zip(pairs, found, strict=True) if a != b},
    }


class Setting(NamedTuple):
    """The index of scores that is asked."""

    index: WorkIndex
    works: np.ndarray[Any, Any]
    titles: list[str]
    number: dict[str, int]


def setting(corpus: Corpus, source_of_index: Path) -> Setting:
    """The index over the scores of a corpus, from the store where the same was built before."""
    digest = hashlib.sha256(source_of_index.read_bytes() + str(ENTRIES).encode())
    for module in (editions, work_index):
        digest.update(Path(str(module.__file__)).read_bytes())
    kept = home() / "benchmark" / f"recognise-{digest.hexdigest()[:12]}.npz"
    scores = corpus.filter(lambda p: not is_played(p), exclude_corpora=WITHOUT)
    names = sorted({p.group or p.id for p in scores})
    if not kept.is_file():
        index, found, _ = build(scores, jobs=1, entries=ENTRIES)
        first = np.array([e.members[0] for e in found])
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, work=np.array([e.work for e in found]), first=first, **index.arrays())  # type: ignore[arg-type]
    with np.load(kept) as arrays:
        pieces = list(scores)
        titles = [f"{pieces[i].composer}: {pieces[i].title}" for i in arrays["first"]]
        index = WorkIndex.from_arrays({name: arrays[name] for name in ("counts", "rest", "edition", "kept")})
        return Setting(index, arrays["work"], titles, {name: i for i, name in enumerate(names)})


def ask(part: str, pieces: list[Piece], asked_of: Setting) -> dict[str, Any]:
    """The results of one collection: whole pieces and excerpts, with the work in the index and without."""
    rng = np.random.default_rng(SEED)
    rows: dict[str, list[Asked]] = {}
    for piece, score in read_all(pieces):
        work = asked_of.number.get(piece.group or piece.id, -1)
        for extent, music in (("whole", score), (f"{BARS} bars", excerpt(score, rng))):
            grams = locate(stream(music))
            if part in ("maestro", "asap") and work >= 0:
                found = matches(asked_of.index, asked_of.works, grams)
                rows.setdefault(f"recognised: {part}, {extent}", []).append(Asked(piece, work, found))
            found = matches(asked_of.index, asked_of.works, grams, apart_from=(work,))
            rows.setdefault(f"false recognitions: {part}, {extent}", []).append(Asked(piece, work, found))
    out: dict[str, Any] = {}
    absent = {i for ids in ABSENT.values() for i in ids}
    for name, asked in rows.items():
        if name.startswith("false"):
            out[name] = false(asked, asked_of.titles)
            continue
        here = [a for a in asked if a.piece.id not in absent]
        out[name] = recall(here)
        out[name]["missed"] = [
            told(a, asked_of.titles) for a, hit in zip(here, right(here, LEAST_EVIDENCE), strict=True) if not hit
        ]
        if len(here) < len(asked):
            out[name]["with those whose group has scores of other music only"] = recall(asked)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("parts", nargs="*", choices=PARTS, help="all of them by default")
    args = parser.parse_args()
    corpus = load_corpus(args.index)
    if any(p.group is None for p in corpus):
        report = audit(corpus)
        corpus = Corpus((p for p in report.corrected() if p.id not in report.excluded), corpus.name)
    asked_of = setting(corpus, args.index)
    scores = [p for p in corpus if not is_played(p) and p.corpus not in WITHOUT]
    sample = np.random.default_rng(SEED).choice(len(scores), SAMPLE, replace=False)
    collections = {
        "maestro": [p for p in corpus if p.corpus == "maestro"],
        "asap": [p for p in corpus if source(p) == "asap:performance"],
        "scores": [scores[i] for i in sorted(sample.tolist())],
        "unseen": [p for p in corpus if p.corpus == "unseen"],
    }
    path = RESULTS / "recognise.json"
    before = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.is_file() else {}
    RESULTS.mkdir(exist_ok=True)
    for part in args.parts or PARTS:
        before[part] = retrieval(corpus) if part == "retrieval" else ask(part, collections[part], asked_of)
        parts = {name: before[name] for name in PARTS if name in before}
        out = {
            "index": {
                "from": "scores alone",
                "editions": len(asked_of.index),
                "works": len(set(asked_of.works.tolist())),
                "grams": len(asked_of.index.rest),
            },
            "least_evidence": LEAST_EVIDENCE,
            "absent": ABSENT,
            "figures": figures(parts),
            "parts": parts,
        }
        path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{part} is in {path.relative_to(HERE.parent)}", flush=True)
    for row in out["figures"]:
        print(f"{row['name']}: {row['value']:.4f} {row.get('interval', '')} ({row['n']:,})")


def figures(parts: dict[str, Any]) -> list[dict[str, Any]]:
    """What a card shows."""
    shown = []
    for part, results in parts.items():
        if part == "retrieval":
            protocol = "all ASAP pairs, one performance a score"
            for name in ("recall_at_1, with or without repeats", "recall_at_1"):
                said = name.replace("recall_at_1", "score to performance, recall at 1")
                shown.append({"name": said, "value": results[name], "protocol": protocol, "n": results["pairs"]})
            continue
        for name, r in results.items():
            right = name.startswith("recognised")
            protocol = "index of scores alone, the music is in it" if right else "the own work passed over"
            row = {"value": r["value"], "interval": r["interval"], "protocol": protocol, "n": r["pieces"]}
            shown.append({"name": name, **row})
            if not right:
                there = {i for ids in THERE.values() for i in ids}
                wrong = [t for t in r["taken for"] if t["evidence"] >= LEAST_EVIDENCE and t["id"] not in there]
                value = {
                    "value": len(wrong) / r["pieces"],
                    "protocol": "those read and found right not counted",
                    "n": r["pieces"],
                }
                shown.append({"name": f"{name}, read", **value})
    return shown


if __name__ == "__main__":
    main()
