"""What the audit finds in the shared collections, how long it takes, and what their files alone give away.

    python benchmarks/audit.py [--corpora DIR] [--jobs N] [--part speed|classics|asap|probe|all …]

Writes benchmarks/results/audit.json. `speed` audits 5,000 MIDI files drawn from all collections with one reading process and an
empty store; wall time counts what else the machine does, CPU time does not. The other parts use the store of fingerprints.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fugato.corpus import Corpus, audit, load_corpus
from fugato.corpus.groups import links
from fugato.corpus.works import join
from fugato.study.probe import probe

RESULT = Path(__file__).parent / "results" / "audit.json"
PIECES = 5_000


def main() -> None:
    default = os.environ.get("FUGATO_CORPORA", str(Path.home() / ".cache" / "fugato" / "corpora"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpora", default=default)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--part", nargs="*", default=["all"], choices=[*PARTS, "all"])
    options = parser.parse_args()
    corpus = load_corpus(Path(options.corpora) / "index.csv").filter(exclude_corpora=["hostile", "gtzan"])
    result: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    for name in PARTS if "all" in options.part else options.part:
        result[name] = PARTS[name](corpus, options.jobs)
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def cpu_seconds() -> float:
    """User and system time of this process and of the workers that have ended."""
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def speed(corpus: Corpus, jobs: int) -> dict[str, Any]:
    """5,000 pieces, reading and an empty store included, one reading process."""
    midi = [i for i, p in enumerate(corpus) if p.format == "mid"]
    chosen = set(random.Random(1).sample(midi, PIECES))
    sample = Corpus((p for i, p in enumerate(corpus) if i in chosen), "sample")
    before = os.environ.get("FUGATO_HOME")
    with tempfile.TemporaryDirectory() as home:
        os.environ["FUGATO_HOME"] = home
        rows = {}
        for name in ("first", "again"):
            start, cpu = time.perf_counter(), cpu_seconds()
            report = audit(sample, jobs=1)
            rows[name] = {
                "wall_seconds": round(time.perf_counter() - start, 1),
                "cpu_seconds": round(cpu_seconds() - cpu, 1),
            }
    os.environ.pop("FUGATO_HOME")
    if before is not None:
        os.environ["FUGATO_HOME"] = before
    notes = sum(getattr(k.facts, "notes", 0) for k in report.known)
    load = round(os.getloadavg()[1], 1)
    return {"pieces": PIECES, "notes": notes, "jobs": 1, "processors": os.cpu_count(), "load": load, **rows}


def classics(corpus: Corpus, jobs: int) -> dict[str, Any]:
    """Counts and the conflicts that are known to be there."""
    report = audit(corpus.filter(corpora=["classics"]), jobs=jobs)
    found = report.to_dict()
    pieces = report.corpus.pieces
    grams = links(report.known)
    copies = {i: d[0] for d in report.duplicates for i in d[1:]}
    place = {p.id: n for n, p in enumerate(pieces)}
    first = np.append(grams.first[grams.joined], [place[a] for a in copies.values()])
    second = np.append(grams.second[grams.joined], [place[b] for b in copies])
    size = Counter(join(len(pieces), first, second).tolist())
    titles = {p.id: f"{p.composer}: {p.title}" for p in pieces}
    kinds = {frozenset(c.composers): c.kind for c in report.conflicts}
    return {
        **{k: found[k] for k in ("pieces", "works", "pieces_in_shared_works")},
        "pieces_in_shared_works_by_fingerprint_or_bytes": sum(n for n in size.values() if n > 1),
        "groups_of_identical_files": len(report.duplicates),
        "unreadable": len(report.unreadable),
        "relabelled": {titles[i]: composer for i, composer in report.relabelled.items()},
        "BWV 593 and RV 522": kinds.get(frozenset({"Bach", "Vivaldi"}), "not found"),
        "conflicts": [conflict(c) for c in found["conflicts"]],
    }


def conflict(found: dict[str, Any]) -> dict[str, Any]:
    first = {p["composer"]: p["title"] for p in reversed(found["pieces"])}
    return {k: found[k] for k in ("kind", "proposed", "share", "identical")} | {"titles": first}


def asap(corpus: Corpus, jobs: int) -> dict[str, Any]:
    """Pairs of a score and its performance that fingerprints alone put into one work."""
    report = audit(corpus.filter(corpora=["asap"]), jobs=jobs)
    pieces = report.corpus.pieces
    grams = links(report.known)
    group = join(len(pieces), grams.first[grams.joined], grams.second[grams.joined])
    scores = {p.pair: i for i, p in enumerate(pieces) if p.role == "midi_score"}
    played = [(i, scores[p.pair]) for i, p in enumerate(pieces) if p.role == "performance" and p.pair in scores]
    linked = {(int(a), int(b)) for a, b in zip(grams.first[grams.joined], grams.second[grams.joined], strict=True)}
    return {
        "pairs": len(played),
        "share_linked": round(float(np.mean([(min(p), max(p)) in linked for p in played])), 4),
        "share_in_one_group": round(float(np.mean([group[a] == group[b] for a, b in played])), 4),
    }


def everything(corpus: Corpus, jobs: int) -> dict[str, Any]:
    """The whole index: works and conflicts, and how long that takes from the store."""
    start = time.perf_counter()
    report = audit(corpus, jobs=jobs)
    seconds = time.perf_counter() - start
    found = report.to_dict()
    return {
        **{k: found[k] for k in ("pieces", "composers", "works", "pieces_in_shared_works")},
        "seconds_from_store": round(seconds, 1),
        "largest_groups": [len(ids) for ids in list(report.works.values())[:5]],
        "unreadable": Counter(u.kind for u in report.unreadable),
        "conflicts": Counter(c.kind for c in report.conflicts),
        "relabelled": len(report.relabelled),
        "conflict_list": [conflict(c) for c in found["conflicts"]],
    }


def probes(corpus: Corpus, jobs: int) -> dict[str, Any]:
    """The artefact probe on three collections."""
    out = {}
    for name, part in {
        "classics": corpus.filter(corpora=["classics"]),
        "wide": corpus.filter(corpora=["wide"]),
        "maestro": corpus.filter(corpora=["maestro"]),
        "all": corpus,
    }.items():
        found = probe(audit(part, jobs=jobs))
        for figures in found.values():
            figures["recall"] = dict(list(figures["recall"].items())[:10])
        out[name] = found
    return out


PARTS: dict[str, Callable[[Corpus, int], dict[str, Any]]] = {
    "classics": classics,
    "asap": asap,
    "everything": everything,
    "probe": probes,
    "speed": speed,
}


if __name__ == "__main__":
    main()
