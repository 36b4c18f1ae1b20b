"""Ten thousand files by the command line: how fast, and whether a kill in the middle loses or repeats anything.

    python benchmarks/batch.py                       ten thousand MIDI files of the corpora (some minutes)
    python benchmarks/batch.py --files 500

The files are linked (copied where links are not possible) into a temporary folder, each of them once or, where the corpora have fewer,
again under another name. `fugato identify FOLDER --out OUT.jsonl` is started, killed without warning (SIGKILL, its workers as well) when a
third of the lines are there, half a line is appended as if the kill had come there, and it is started again with --resume. Then every
input must have exactly one line, and a sample of them the answer that a run of its own gives.

Pieces a second by the wall clock count what else the machine does (see the load). The processor time is that of the resumed run and its
workers alone: what it would take on a quiet machine is that over the cores that it uses. Writes benchmarks/results/batch.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from held_out import as_typed, corpora

RESULT = Path(__file__).resolve().parent / "results" / "batch.json"
CORPORA = ("classics", "wide", "mutopia", "nine", "openscore", "maestro", "asap")
FILES = 10_000
CHECKED = 40
SEED = 0
POLL = 0.2  # seconds


def command(folder: Path, out: Path, jobs: int, *more: str) -> list[str]:
    return [sys.executable, "-m", "fugato", "identify", str(folder), "--out", str(out), "--jobs", str(jobs), *more]


def collected(index: Path, folder: Path, n: int, smallest: int | None = None) -> int:
    """Fill a folder with `n` MIDI files, or with so many of the smallest again and again; how many different ones they are."""
    with index.open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["corpus"] in CORPORA and r["format"] in ("mid", "midi")]
    random.Random(SEED).shuffle(rows)
    if smallest is not None:
        rows = sorted(rows, key=lambda row: (index.parent / row["path"]).stat().st_size)[:smallest]
    for number in range(n):
        source = index.parent / rows[number % len(rows)]["path"]
        target = folder / f"{number % 100:02}" / f"{number:05}.mid"
        target.parent.mkdir(exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)
    return min(n, len(rows))


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def killed(arguments: list[str], out: Path, at: int) -> float:
    """Run until `at` lines are written, then kill the whole group of processes; seconds."""
    began = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and lines_of(out) < at:
        time.sleep(POLL)
    seconds = time.perf_counter() - began
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return seconds


def whole(arguments: list[str]) -> tuple[float, int, float, float]:
    """Run to the end: seconds, exit status, processor seconds with its workers, and peak MB of the largest of its processes."""
    began = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - began, process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULT)
    args = parser.parse_args()
    index = args.index or corpora() / "index.csv"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=index.parent if os.access(index.parent, os.W_OK) else None) as top:
        folder, out = Path(top) / "pieces", Path(top) / "answers.jsonl"
        folder.mkdir()
        different = collected(index, folder, args.files)
        first_seconds = killed(command(folder, out, args.jobs), out, args.files // 3)
        there = lines_of(out)
        torn = not out.read_bytes().endswith(b"\n")
        with out.open("ab") as file:
            file.write(b'{"input": "torn')  # as if the kill had come in the middle of a line
        rest_seconds, status, worked, peak = whole(command(folder, out, args.jobs, "--resume"))
        again_seconds, *_ = whole(command(folder, out, args.jobs, "--resume"))
        answers = [json.loads(line) for line in out.read_bytes().splitlines()]
        names = [a["input"] for a in answers]
        expected = sorted(str(p) for p in folder.rglob("*.mid"))
        errors: dict[str, int] = {}
        for a in answers:
            if "error" in a:
                errors[a["error"]["kind"]] = errors.get(a["error"]["kind"], 0) + 1
        alike = same_alone(answers, Path(top), args.jobs)
        result: dict[str, Any] = {
            "command": as_typed(),
            "files": args.files,
            "different_files": different,
            "jobs": args.jobs,
            "cpus": os.cpu_count(),
            "load_before": round(load, 2),
            "killed_after": {"seconds": round(first_seconds, 1), "lines": there, "torn_line": torn},
            "resumed": {
                "seconds": round(rest_seconds, 1),
                "lines": args.files - there,
                "exit_status": status,
                "pieces_a_second": round((args.files - there) / rest_seconds, 1),
                "processor_seconds": round(worked, 1),
                "pieces_a_processor_second": round((args.files - there) / worked, 1),
                "peak_mb_of_one_process": round(peak, 1),
            },
            "pieces_a_second": round(args.files / (first_seconds + rest_seconds), 1),
            "resumed_with_nothing_left_s": round(again_seconds, 1),
            "each_input_exactly_once": sorted(names) == expected,
            "answered": len(answers) - sum(errors.values()),
            "errors": errors,
            "answers_checked_alone": {"files": CHECKED, "the_same": alike},
        }
    args.json.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def same_alone(answers: list[dict[str, Any]], top: Path, jobs: int) -> int:
    """Of some answers, how many a run over these files alone gives again."""
    chosen = random.Random(SEED).sample(answers, min(CHECKED, len(answers)))
    out = top / "again.jsonl"
    files = [a["input"] for a in chosen]
    subprocess.run(
        [sys.executable, "-m", "fugato", "identify", *files, "--out", str(out), "--jobs", str(jobs)],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    again = [json.loads(line) for line in out.read_bytes().splitlines()]
    return sum({**a, "elapsed": 0} == {**b, "elapsed": 0} for a, b in zip(chosen, again, strict=True))


if __name__ == "__main__":
    main()
