"""Every file of the hostile corpus through `fugato.read`: read or refused by kind, never a crash.

    python benchmarks/hostile.py [CORPORA]

Writes benchmarks/results/hostile.json: outcomes by category, the longest time, worker restarts, and the files that
are valid by their own test suite and were refused all the same.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from fugato.errors import FugatoError
from fugato.read import Limits, Reader
from fugato.score import Score

RESULT = Path(__file__).parent / "results" / "hostile.json"


def main(corpora: Path) -> None:
    rows = [r for r in csv.DictReader((corpora / "index.csv").open(encoding="utf-8")) if r["corpus"] == "hostile"]
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    refused_valid: dict[str, str] = {}
    slowest = 0.0
    with Reader(Limits()) as reader:
        for row in rows:
            path = corpora / row["path"]
            start = time.perf_counter()
            try:
                (score, *_) = reader.run(path.read_bytes(), name=path.name)
                assert isinstance(score, Score)
                outcome = "read, mended" if score.warnings else "read"
            except FugatoError as e:
                outcome = e.kind
                if row["expected"] == "valid":
                    refused_valid[row["path"]] = e.kind
            slowest = max(slowest, time.perf_counter() - start)
            outcomes[f"{row['kind']} ({row['expected']})"][outcome] += 1
        restarts = reader.restarts
    total = sum(outcomes.values(), Counter())
    result = {
        "files": len(rows),
        "answered": sum(total.values()),
        "worker_restarts": restarts,
        "slowest_seconds": round(slowest, 3),
        "peak_worker_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
        "outcomes": dict(total),
        "by_category": {k: dict(v) for k, v in sorted(outcomes.items())},
        "valid_but_refused": refused_valid,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    default = os.environ.get("FUGATO_CORPORA", Path.home() / ".cache" / "fugato" / "corpora")
    main(Path(sys.argv[1] if len(sys.argv) > 1 else default))
