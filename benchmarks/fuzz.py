"""Damaged inputs by the hundred thousand through every reader: each is a well-formed Score, a recording, or a FugatoError.

    python benchmarks/fuzz.py midi --inputs 1000000
    python benchmarks/fuzz.py audio --inputs 200000
    python benchmarks/fuzz.py musicxml mxl kern abc --inputs 5000
    python benchmarks/fuzz.py midi --minutes 20           as many as fit

Input number n of a kind is made from n alone: a seed (files made by code, and small files of the shared collections where they are at
hand) with one to eight edits (bits, lengths, pieces cut, doubled, moved in from another seed, numbers that are too large). Readers run
without their sandbox, in processes that have its limits on memory; an input that raises anything else than a FugatoError, says that a
reader stumbled, breaks a Score's shape, takes more than 20 s of processor time or ends its process is a finding, kept in --keep. Writes
benchmarks/results/fuzz.json, a part for each kind; damaged headers of recordings are decoded for a second of sound at most.
"""

from __future__ import annotations

import argparse
import csv
import json
import mmap
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from held_out import corpora

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "fuzz.json"
KINDS = ("midi", "musicxml", "mxl", "kern", "abc", "audio")
NAMES = {"midi": "x.mid", "musicxml": "x.musicxml", "mxl": "x.mxl", "kern": "x.krn", "abc": "x.abc"}
SUFFIXES = {
    "midi": (".mid", ".midi", ".MID"),
    "musicxml": (".xml", ".musicxml"),
    "mxl": (".mxl",),
    "kern": (".krn",),
    "abc": (".abc",),
}
CHUNK = 1_000  # inputs that a process is given at once
SECONDS = 20.0  # of processor time for one input
MEMORY = 2_000_000_000  # bytes
SEEDS, SEED_BYTES = 300, 12_000  # of the collections, at most; small ones, so that an edit is felt
LARGE = (
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x00\x00",
    b"\xff\x7f",
    b"\x80" * 4,
)
NUMBERS = (b"0", b"-1", b"1e9", b"99999999999", b"0.0000001", b"4294967296", b"nan", b"")


# -- inputs ------------------------------------------------------------------------------------------------------------


@cache
def seeds(kind: str) -> list[bytes]:
    """What is damaged, the same list in every process."""
    sys.path.insert(0, str(ROOT))
    from tests.read_files import ABC, ABC_VOICES, KERN, mxl
    from tests.test_read_fuzz import DOCUMENT, WHOLE

    if kind == "audio":
        from tests.sound_files import beat, encoded

        sound = beat(0.3)
        forms = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "RF64", "WAVEX", "NIST", "VOC", "SVX")
        made = []
        for form in forms:
            try:
                made.append(encoded(sound, form))
            except Exception:  # noqa: BLE001 (a form that this libsndfile does not write)
                continue
        return made
    own = {
        "midi": [WHOLE],
        "musicxml": [DOCUMENT],
        "mxl": [mxl(DOCUMENT)],
        "kern": [KERN.encode()],
        "abc": [ABC.encode(), ABC_VOICES.encode()],
    }[kind]
    return own + from_collections(kind)


def from_collections(kind: str) -> list[bytes]:
    """Small files from all over the shared collections, and from music21's."""
    paths: list[Path] = []
    try:
        folder = corpora()
        with (folder / "index.csv").open(encoding="utf-8") as file:
            paths = [folder / row["path"] for row in csv.DictReader(file) if row["path"].endswith(SUFFIXES[kind])]
    except (OSError, subprocess.SubprocessError):  # no collections beside the repository
        pass
    from music21 import common

    root = Path(common.getCorpusFilePath())
    paths += sorted(p for p in root.rglob("*") if p.suffix in SUFFIXES[kind])
    small = [p for p in paths if p.is_file() and 0 < p.stat().st_size <= SEED_BYTES]
    return [p.read_bytes() for p in small[:: max(len(small) // SEEDS, 1)][:SEEDS]]


def damaged(kind: str, number: int, whole: list[bytes]) -> bytes:
    """Input `number`."""
    rng = random.Random(f"{kind} {number}")
    data = bytearray(whole[rng.randrange(len(whole))])
    reach = 600 if kind == "audio" and rng.random() < 0.8 else 1 << 30  # mostly the header
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(min(len(data), reach) + 1)
        what = rng.randrange(9)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif what == 1:
            data[at : at + rng.randint(0, 4)] = rng.randbytes(rng.randint(0, 4))
        elif what == 2:
            large = rng.choice(LARGE)
            data[at : at + len(large)] = large
        elif what == 3:
            del data[at : at + rng.randint(1, 64)]
        elif what == 4:
            data[at:at] = data[at : at + rng.randint(1, 200)] * rng.randint(1, 5)
        elif what == 5:
            other = rng.choice(whole)
            start = rng.randrange(len(other))
            data[at : at + rng.randint(0, 200)] = other[start : start + rng.randint(1, 200)]
        elif what == 6 and rng.random() < 0.3:
            del data[at:]
        elif what == 7 and kind in ("musicxml", "kern", "abc"):
            digits = [i for i in range(at, min(at + 400, len(data))) if 48 <= data[i] < 58]
            if digits:
                data[digits[0] : digits[0] + 1] = rng.choice(NUMBERS)
        elif kind in ("midi", "audio"):  # a length, of either end
            size = rng.choice((0, 1, len(data), 0x7FFFFFFF, 0xFFFFFFFF, rng.randrange(1 << 32)))
            data[at : at + 4] = struct.pack(rng.choice(("<I", ">I")), size)
    return bytes(data)


# -- a process that reads ----------------------------------------------------------------------------------------------


class LateError(Exception):
    """An input took too long."""


def late(*_: Any) -> None:
    raise LateError


def outcome(kind: str, data: bytes, place: Path) -> str:
    """ "read", or the kind of the refusal."""
    if kind != "audio":
        from tests.test_read_fuzz import check

        return check(data, NAMES[kind])
    from fugato.errors import FugatoError
    from fugato.read.decode import AudioLimits, SoundFile

    place.write_bytes(data)
    try:
        file = SoundFile(str(place), AudioLimits())
    except FugatoError as error:
        return error.kind
    try:
        seconds, end = 0.0, False
        while not end and seconds < 1:
            samples, end, _ = file.read(4_096)
            seconds += len(samples) / file.facts.rate
    except FugatoError as error:
        return error.kind
    finally:
        file.close()
    return "read"


def work(kind: str, state: Path) -> None:
    """Chunks of inputs as lines "first last skipped…" on stdin, what became of them as lines on stdout."""
    warnings.simplefilter("ignore")
    whole = seeds(kind)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY + 1_000_000_000, -1))  # libraries are mapped too
    signal.signal(signal.SIGVTALRM, late)
    place = state.with_suffix(".input")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)  # libsndfile's decoders print
    with state.open("r+b") as file, mmap.mmap(file.fileno(), 8) as at:
        print(json.dumps({"seeds": len(whole)}), file=answers, flush=True)
        for line in sys.stdin:
            first, last, *skipped = map(int, line.split())
            counts: Counter[str] = Counter()
            findings, slowest = [], (0.0, first)
            for number in range(first, last):
                if number in skipped:
                    continue
                at[:] = struct.pack("<q", number)
                data = damaged(kind, number, whole)
                began = time.process_time()
                signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
                signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)  # ends the process, where C code hears nothing
                try:
                    counts[outcome(kind, data, place)] += 1
                except MemoryError:  # what the sandbox makes of it
                    counts["too-large"] += 1
                except LateError:
                    findings.append([number, "hang"])
                except BaseException as error:  # noqa: BLE001 (whatever it is, it is a finding)
                    findings.append([number, f"{type(error).__name__}: {error}"[:300]])
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                    signal.setitimer(signal.ITIMER_PROF, 0)
                slowest = max(slowest, (time.process_time() - began, number))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            told = {"counts": counts, "findings": findings, "slowest": slowest, "mb": peak}
            print(json.dumps(told), file=answers, flush=True)


# -- the run -----------------------------------------------------------------------------------------------------------


class Fuzzing:
    """One kind: processes that are given chunks until there are none left or time is up."""

    def __init__(self, kind: str, inputs: int, first: int, until: float, keep: Path) -> None:
        self.kind, self.keep, self.until = kind, keep, until
        self.first, self.left = first, list(range(first, first + inputs, CHUNK))[::-1]
        self.end = first + inputs
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.findings: list[dict[str, Any]] = []
        self.slowest, self.mb, self.seeds, self.done = 0.0, 0.0, 0, 0

    def run(self, jobs: int) -> dict[str, Any]:
        began = time.perf_counter()
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        fast = "/dev/shm" if os.path.isdir("/dev/shm") else None
        with tempfile.TemporaryDirectory(dir=fast) as place, ThreadPoolExecutor(jobs) as pool:
            for result in [pool.submit(self._process, Path(place) / str(job)) for job in range(jobs)]:
                result.result()
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "inputs": self.done,
            "numbers": [self.first, self.end],
            "seeds": self.seeds,
            "outcomes": dict(self.counts.most_common()),
            "findings": self.findings,
            "slowest_processor_seconds": round(self.slowest, 3),
            "peak_mb": round(self.mb, 1),
            "seconds": round(time.perf_counter() - began, 1),
            "processor_seconds": round(now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime, 1),
        }

    def _process(self, state: Path) -> None:
        state.write_bytes(bytes(8))
        process = None
        while time.monotonic() < self.until:
            with self.lock:
                if not self.left:
                    break
                chunk = self.left.pop()
            skipped: list[int] = []
            while True:  # again without what ended the process, so that every count is whole
                if process is None or process.poll() is not None:
                    process = self._start(state)
                assert process.stdin and process.stdout
                print(chunk, min(chunk + CHUNK, self.end), *skipped, file=process.stdin, flush=True)
                line = process.stdout.readline()
                if line:
                    break
                (number,) = struct.unpack("<q", state.read_bytes())
                self._found(number, f"the process ended with status {process.wait()}")
                skipped.append(number)
            self._take(json.loads(line), min(chunk + CHUNK, self.end) - chunk)
        if process is not None:
            process.stdin.close()  # type: ignore[union-attr]
            process.wait()

    def _start(self, state: Path) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, self.kind, "--work", str(state)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        self.seeds = json.loads(process.stdout.readline())["seeds"]
        return process

    def _take(self, told: dict[str, Any], inputs: int) -> None:
        with self.lock:
            self.done += inputs
            self.counts.update(told["counts"])
            self.slowest, self.mb = max(self.slowest, told["slowest"][0]), max(self.mb, told["mb"])
        for number, what in told["findings"]:
            self._found(number, what)
        if self.done % 20_000 < CHUNK:
            print(f"{self.kind}: {self.done:,} {dict(self.counts)} {len(self.findings)} findings", flush=True)

    def _found(self, number: int, what: str) -> None:
        with self.lock:
            self.findings.append({"number": number, "what": what})
        self.keep.mkdir(parents=True, exist_ok=True)
        (self.keep / f"{self.kind}-{number}").write_bytes(damaged(self.kind, number, seeds(self.kind)))
        print(f"{self.kind} {number}: {what}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--minutes", type=float, default=10_000.0, help="for each kind")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--json", type=Path, default=RESULT)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.kinds[0], args.work)
        return
    for kind in args.kinds:
        until = time.monotonic() + 60 * args.minutes
        found = Fuzzing(kind, args.inputs, args.first, until, args.keep).run(args.jobs)
        before = json.loads(args.json.read_text()) if args.json.exists() else {}
        args.json.write_text(json.dumps({**before, kind: found}, indent=1) + "\n")
        print(json.dumps({kind: {key: value for key, value in found.items() if key != "findings"}}), flush=True)


if __name__ == "__main__":
    main()
