"""Identify and featurise on a cluster of this machine: pieces a second against the number of workers and the size of batches, and memory.

    python benchmarks/scale.py                           5,000 MIDI files of the corpora (some hours on two slow cores)
    python benchmarks/scale.py --files 300 --batches 8   a small one
    python benchmarks/scale.py --memory 100000           also: memory over as many inputs, the smallest files again and again
    python benchmarks/scale.py --killed 5000             also: how much a command that is killed at half, and resumed, does twice

A scheduler and its workers are started for each run, each with one thread, and `fugato … --shards` is timed against them, from the
command to its end. Beside it stands the same by `--jobs` alone, which is what the command does without a cluster. Seconds by the wall
clock count what else the machine does (see the load); processor seconds are those of all processes of the run, and what a file costs on
a quiet machine. Cost per million files is extrapolated from them. Writes benchmarks/results/scale.json after each run; runs that it holds
already are not made again, so remove it to begin anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from batch import collected
from held_out import corpora
from numpy.typing import NDArray

from fugato.scale.shards import read_manifest

RESULT = Path(__file__).resolve().parent / "results" / "scale.json"
FILES = 5_000
SMALLEST = 1_000  # files of the run for its memory
COUNTING = """
import fugato.scale.work as work

def counted(task, given, one=work._one):
    with open({path!r}, "ab") as file:
        file.write(b".")
    return one(task, given)

if work._one.__name__ != "counted":
    work._one = counted
"""  # a preload of workers: a byte for each input that one of them takes up; Dask runs it several times
WATCH = 1.0  # seconds


class Watch(threading.Thread):
    """Processor seconds and memory of processes and their children, those that have ended included."""

    def __init__(self, *processes: int) -> None:
        super().__init__(daemon=True)
        self._roots = processes
        self._ended = threading.Event()
        self._seconds: dict[tuple[int, float], float] = {}
        self.megabytes: list[list[float]] = []  # of each of the processes with its children, over time
        self._before = self._look()

    def run(self) -> None:
        while not self._ended.wait(WATCH):
            self._look()

    def _look(self) -> float:
        """Processor seconds since the processes began."""
        held = [0.0] * len(self._roots)
        for i, root in enumerate(self._roots):
            with suppress(psutil.Error):
                top = psutil.Process(root)
                for process in [top, *top.children(recursive=True)]:
                    with suppress(psutil.Error):
                        spent = process.cpu_times()
                        self._seconds[process.pid, process.create_time()] = spent.user + spent.system
                        held[i] += process.memory_info().rss / 1e6
        self.megabytes.append(held)
        return sum(self._seconds.values())

    def end(self) -> float:
        """Processor seconds since the watch began."""
        self._ended.set()
        self.join()
        return self._look() - self._before


@contextmanager
def cluster(workers: int, place: Path, *options: str) -> Iterator[tuple[str, list[int]]]:
    """The address of a scheduler with so many workers, and their process ids; `options` of the workers."""
    file = place / "scheduler.json"
    file.unlink(missing_ok=True)
    started = []

    def start(program: str, *options: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(file), "--no-dashboard"]
        quiet = subprocess.DEVNULL
        started.append(subprocess.Popen([*command, *options], stdout=quiet, stderr=quiet))

    try:
        start("dask_scheduler", "--port", "0", "--host", "127.0.0.1")
        while not file.exists() or not file.read_text():
            time.sleep(0.1)
        for _ in range(workers):
            start("dask_worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(place), *options)
        yield json.loads(file.read_text())["address"], [process.pid for process in started]
    finally:
        for process in reversed(
            started
        ):  # the scheduler last; a Dask worker whose scheduler went first may wait for ever
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def killed(folder: Path, files: int, place: Path, workers: int) -> dict[str, Any]:
    """A command that is killed when half is kept, and resumed: inputs that workers took up twice."""
    counted, preload, kept = place / "counted", place / "counting.py", place / "killed"
    preload.write_text(COUNTING.format(path=str(counted)))
    command = [sys.executable, "-m", "fugato", "identify", str(folder), "--shards", str(kept), "--scheduler"]
    quiet = subprocess.DEVNULL
    with cluster(workers, place, "--preload", str(preload)) as (address, _):
        process = subprocess.Popen([*command, address], stdout=quiet, stderr=quiet)
        while (there := sum(1 for _ in read_manifest(kept)) if kept.exists() else 0) < files / 2:
            if process.poll() is not None:
                raise SystemExit("the command ended before it could be killed")
            time.sleep(0.5)
        process.kill()
        process.wait()
        status = subprocess.run([*command, address, "--resume"], stdout=quiet, stderr=quiet, check=False).returncode
    taken = counted.stat().st_size
    names = [row["input"] for row in read_manifest(kept)]
    return {
        "exit_status": status,
        "kept_at_the_kill": there,
        "taken_up": taken,
        "each_input_exactly_once": len(names) == len(set(names)) == files,
        "repeated": round(taken / files - 1, 5),
    }


def over_time(megabytes: NDArray[np.float64]) -> dict[str, int]:
    """Of one look after another: the median of the looks of each quarter, and the most."""
    quarters = ("first_quarter", "second_quarter", "third_quarter", "last_quarter")
    parts = np.array_split(megabytes, len(quarters))
    found = {name: round(float(np.median(part))) for name, part in zip(quarters, parts, strict=True) if len(part)}
    return {**found, "at_most": round(float(megabytes.max(initial=0)))}


def timed(command: list[str], others: list[int], files: int) -> dict[str, Any]:
    """One run to its end."""
    load = os.getloadavg()[0]
    began = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-m", "fugato", *command], stdout=quiet, stderr=quiet)
    watch = Watch(process.pid, *others)
    watch.start()
    status = process.wait()
    seconds = time.perf_counter() - began
    worked = watch.end()
    if status not in (0, 1) or not worked:
        raise SystemExit(f"fugato {' '.join(command)} ended with status {status}")
    held = np.array(watch.megabytes[1:-1]).reshape(-1, 1 + len(others))  # while they all were there
    return {
        "exit_status": status,
        "load_before": round(load, 1),
        "seconds": round(seconds, 1),
        "files_a_second": round(files / seconds, 1),
        "processor_seconds": round(worked, 1),
        "files_a_processor_second": round(files / worked, 1),
        "processor_hours_per_million_files_extrapolated": round(worked / files * 1e6 / 3600, 1),
        "megabytes_of_all_processes": over_time(held.sum(axis=1)),
        "megabytes_of_the_command": over_time(held[:, 0]),
        **({"megabytes_of_the_scheduler": over_time(held[:, 1])} if others else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tasks", nargs="+", default=["identify", "featurise"])
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="inputs of a run for its memory")
    parser.add_argument("--killed", type=int, default=0, metavar="N", help="inputs of a run that is killed and resumed")
    parser.add_argument("--json", type=Path, default=RESULT)
    args = parser.parse_args()
    index = args.index or corpora() / "index.csv"
    runs: list[dict[str, Any]] = json.loads(args.json.read_text())["runs"] if args.json.exists() else []
    with tempfile.TemporaryDirectory(dir=index.parent if os.access(index.parent, os.W_OK) else None) as top:
        place = Path(top)

        def filled(n: int, smallest: int | None) -> Path:
            folder = place / f"pieces-{n}-{smallest}"
            folder.mkdir(exist_ok=True)
            if not any(folder.iterdir()):
                collected(index, folder, n, smallest)
            return folder

        def run(task: str, n: int, out: str, *options: str, others: list[int] | None = None, **about: Any) -> None:
            what = {"task": task, "files": n, **about}
            if any(what.items() <= earlier.items() for earlier in runs):
                return
            command = [task, str(filled(n, about.get("different"))), out, str(place / f"run-{len(runs)}"), *options]
            if out == "--out" and task == "featurise":
                command[3] += ".parquet"
            keep({**what, **timed(command, others or [], n)})

        def keep(found: dict[str, Any]) -> None:
            runs.append(found)
            print(json.dumps(found), flush=True)
            result = {"command": "python benchmarks/scale.py", "cpus": os.cpu_count(), "runs": runs}
            args.json.write_text(json.dumps(result, indent=1) + "\n")

        for task in args.tasks:
            for jobs in args.workers:
                run(task, args.files, "--out", "--jobs", str(jobs), how="jobs", workers=jobs)
        for workers in args.workers:
            for batch in args.batches:
                os.environ["DASK_FUGATO__BATCH"] = str(batch)
                with cluster(workers, place) as (address, others):
                    for task in args.tasks:
                        about = {"how": "cluster", "workers": workers, "batch": batch}
                        run(task, args.files, "--shards", "--scheduler", address, others=others, **about)
        if args.memory:
            os.environ.pop("DASK_FUGATO__BATCH", None)
            with cluster(max(args.workers), place) as (address, others):
                about = {"how": "cluster, for its memory", "workers": max(args.workers), "different": SMALLEST}
                run("identify", args.memory, "--shards", "--scheduler", address, others=others, **about)
        if args.killed:
            os.environ.pop("DASK_FUGATO__BATCH", None)
            workers = max(args.workers)
            about = {"task": "identify", "files": args.killed, "how": "cluster, killed at half and resumed"}
            keep({**about, "workers": workers, **killed(filled(args.killed, None), args.killed, place, workers)})


if __name__ == "__main__":
    main()
