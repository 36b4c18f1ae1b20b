"""The share of real collections that `fugato.read` loads, and how fast.

    python benchmarks/read_corpora.py [--corpora DIR] [--jobs N] [--sample N] [CORPUS…]

Writes benchmarks/results/read_corpora.json: for each corpus and suffix the files, the share read, files a second (one thread and
one worker a job), how many were mended, and every refused file with its kind.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import time
from collections import defaultdict
from pathlib import Path

from fugato.errors import FugatoError
from fugato.read import SUFFIXES, read_many
from fugato.score import Score

RESULT = Path(__file__).parent / "results" / "read_corpora.json"


def _cpu() -> float:
    """CPU seconds of this process and of the workers that have ended; tells more than the clock on a busy machine."""
    return sum(
        r.ru_utime + r.ru_stime for r in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    default = os.environ.get("FUGATO_CORPORA", str(Path.home() / ".cache" / "fugato" / "corpora"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="corpora; default: all but hostile and gtzan")
    parser.add_argument("--corpora", default=default)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--sample", type=int, default=0, help="at most so many files of each corpus and format")
    options = parser.parse_args()
    root = Path(options.corpora)
    groups: dict[str, list[str]] = defaultdict(list)
    for row in csv.DictReader((root / "index.csv").open(encoding="utf-8")):
        wanted = row["corpus"] in options.names if options.names else row["corpus"] not in ("hostile", "gtzan")
        if wanted and (root / row["path"]).is_file():
            form = SUFFIXES.get(Path(row["path"]).suffix.lower(), "midi")
            groups[f"{row['corpus']} {form}"].append(row["path"])
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for group, paths in sorted(groups.items()):
        if options.sample and len(paths) > options.sample:
            paths = sorted(random.Random(1).sample(paths, options.sample))
        refused: dict[str, str] = {}
        mended = notes = 0
        start, used = time.perf_counter(), _cpu()
        for path, item in zip(paths, read_many([root / p for p in paths], jobs=options.jobs), strict=True):
            if isinstance(item.result, FugatoError):
                refused[path] = item.result.kind
            elif isinstance(item.result, Score):
                notes += len(item.result)
                mended += bool(item.result.warnings)
        seconds = time.perf_counter() - start
        result[group] = {
            "files": len(paths),
            "sampled": bool(options.sample and len(paths) == options.sample),
            "share_read": round(1 - len(refused) / len(paths), 5),
            "mended": mended,
            "notes": notes,
            "jobs": options.jobs,
            "files_per_second": round(len(paths) / seconds, 1),
            "cpu_ms_per_file": round((_cpu() - used) / len(paths) * 1e3, 1),
            "refused": refused,
        }
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
