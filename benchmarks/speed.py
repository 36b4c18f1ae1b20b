"""How fast Fugato is, beside pretty_midi, mido, music21 and symusic on the same files.

    python benchmarks/speed.py [parse] [features] [cold] [folder] [--corpora DIR] [--model NAME|DIR]

Writes benchmarks/results/speed.json, part by part, and prints a table of each:

parse     seconds a file, and peak memory, of each reader on the same files, each reader in a process of its own.
features  seconds a file from a path, and from what its reader had read, to numbers that a classifier can take.
cold      a new process for one file: `fugato identify ONE`.
folder    pieces a second in a folder of 1,000 MIDI files, and the memory of the main process and of the workers over the run.

The sample is drawn with a seed from `classics` and `maestro` in proportion to their size. What the three feature sets compute is said
in the JSON; they are not the same, and the comparison is of what a user waits for. `parse` and `features` count CPU seconds of the
process; `cold` and `folder` wall time. Run it on an idle machine: neighbours that fill the caches slow even CPU seconds down by
half. `load_before` says how many processes ran when a part began. Needs Linux (/proc).
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

RESULT: Final = Path(__file__).parent / "results" / "speed.json"
SEED: Final = 20
FILES: Final = 200
FEW: Final = 40  # of them that music21 reads, which takes it seconds a file
FEWER: Final = 20  # of those that it extracts features from
CAP: Final = 60  # seconds for one file and one step
RUNS: Final = 7  # cold starts
FOLDER: Final = 1_000
EVERY: Final = 0.1  # seconds between two looks at the memory
CHUNK: Final = 30.0  # seconds of a chunk in the features that student projects use
PARTS: Final = ("parse", "features", "cold", "folder")

COMPUTES: Final = {
    "fugato": "the normalised stream and all its n-grams, exact and hashed, weighted: one vector of fixed width a piece",
    "pretty_midi": f"for each note pitch, duration, velocity, delta time, interval, program, accent; for each chunk of {CHUNK:.0f} s tempo "
    "(estimate_tempo), pitch range, note density, repetition rate, mean interval, rhythmic variety, chord density",
    "music21": "14 of music21's own extractors through DataSet: jSymbolic P10 range, P19 and P20 pitch and pitch class distribution, M1 "
    "melodic intervals, M2 mean interval, M4 and M5 most common interval, M9 repeated notes, M11 stepwise motion, R15 note density, R17 "
    "and R18 note duration, R30 tempo, and native QL1 unique note lengths",
}


# -- in a process of its own: readers ----------------------------------------------------------------------------------


def reader_of(name: str) -> Callable[[str], Any]:
    """How a library reads one file."""
    if name == "fugato":
        from fugato.read import read

        return read
    if name == "pretty_midi":
        import pretty_midi

        return lambda path: pretty_midi.PrettyMIDI(path)
    if name == "mido":
        import mido

        return lambda path: mido.MidiFile(path)
    if name == "symusic":
        import symusic

        return symusic.Score
    from music21 import converter

    return lambda path: converter.parse(path, forceSource=True)  # not from its cache


def features_of(name: str) -> Callable[[Any], int]:
    """How a library turns what it read into features; gives how many numbers came out."""
    if name == "fugato":
        return fugato_features()
    if name == "pretty_midi":
        return pretty_midi_features
    return music21_features()


def fugato_features() -> Callable[[Any], int]:
    import numpy as np

    from fugato.represent import ngrams
    from fugato.represent.stream import stream

    places, rarity = ngrams.layout(), np.ones(ngrams.width(), np.float32)

    def features(score: Any) -> int:
        cell, times = ngrams.count(stream(score))
        vector = np.zeros(len(rarity), np.float32)
        vector[cell] = ngrams.weigh(cell, times, rarity, places)
        return len(vector)

    return features


def pretty_midi_features(piece: Any) -> int:
    """The note and chunk features of the student projects on composers, as they write them: plain Python over notes."""
    import numpy as np
    import pretty_midi

    rows: list[list[float]] = []
    notes = sorted(
        ((n, i.program) for i in piece.instruments if not i.is_drum for n in i.notes), key=lambda x: x[0].start
    )
    mean_velocity = float(np.mean([n.velocity for n, _ in notes])) if notes else 0.0
    for before, (note, program) in zip([notes[0], *notes] if notes else [], notes, strict=False):
        rows.append(
            [
                note.pitch,
                note.end - note.start,
                note.velocity,
                note.start - before[0].start,
                note.pitch - before[0].pitch,
                program,
                note.velocity > 1.2 * mean_velocity,
            ]
        )
    chunks: list[list[float]] = []
    start, end = 0.0, piece.get_end_time()
    while start < end:
        inside = [n for n, _ in notes if start <= n.start < start + CHUNK]
        start += CHUNK
        if len({n.start for n in inside}) < 2:  # estimate_tempo needs two onsets
            continue
        chunk = pretty_midi.PrettyMIDI()
        chunk.instruments.append(pretty_midi.Instrument(program=0))
        chunk.instruments[0].notes = inside
        pitches = [n.pitch for n in inside]
        onsets = [round(n.start, 2) for n in inside]
        chunks.append(
            [
                chunk.estimate_tempo(),
                max(pitches) - min(pitches),
                len(inside) / CHUNK,
                sum(a == b for a, b in itertools.pairwise(pitches)) / len(pitches),
                float(np.mean(np.abs(np.diff(pitches)))),
                len({round(n.end - n.start, 2) for n in inside}) / len(inside),
                (len(onsets) - len(set(onsets))) / len(onsets),
            ]
        )
    return np.array(rows).size + np.array(chunks).size


def music21_features() -> Callable[[Any], int]:
    from music21 import features
    from music21.features import jSymbolic, native

    extractors = [
        jSymbolic.RangeFeature,
        jSymbolic.BasicPitchHistogramFeature,
        jSymbolic.PitchClassDistributionFeature,
        jSymbolic.MelodicIntervalHistogramFeature,
        jSymbolic.AverageMelodicIntervalFeature,
        jSymbolic.MostCommonMelodicIntervalPrevalenceFeature,
        jSymbolic.DistanceBetweenMostCommonMelodicIntervalsFeature,
        jSymbolic.RepeatedNotesFeature,
        jSymbolic.StepwiseMotionFeature,
        jSymbolic.NoteDensityFeature,
        jSymbolic.AverageNoteDurationFeature,
        jSymbolic.VariabilityOfNoteDurationFeature,
        jSymbolic.InitialTempoFeature,
        native.UniqueNoteQuarterLengths,
    ]

    def extract(piece: Any) -> int:
        data = features.DataSet(classLabel="composer")
        data.runParallel = False
        data.failFast = True
        data.addFeatureExtractors(extractors)
        data.addData(piece, classValue="x", id="x")
        data.process()
        return len(data.getFeaturesAsList()[0]) - 2  # less its name and class

    return extract


class _TooLongError(Exception):
    pass


@contextmanager
def capped() -> Iterator[None]:
    """`_TooLongError` after `CAP` seconds."""

    def late(*_: object) -> None:
        raise _TooLongError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(CAP)
    try:
        yield
    finally:
        signal.alarm(0)


def child(name: str, what: str, paths: list[str]) -> dict[str, Any]:
    """Read, or read and extract, every file with one library, in this process; seconds of each."""
    warnings.simplefilter("ignore")
    read = reader_of(name)
    extract = features_of(name) if what == "features" else None
    base = peak()
    refused = late = numbers = 0
    reading, extracting = [], []
    for path in paths[:3]:  # so that nothing is loaded for the first time while the clock runs
        try:
            with capped():
                piece = read(path)
                if extract is not None and name != "music21":
                    extract(piece)
        except Exception:  # noqa: BLE001 (counted below)
            pass
    for path in paths:
        try:
            with capped():
                start = time.process_time()
                piece = read(path)
                middle = time.process_time()
            with capped():
                if extract is not None:
                    numbers += extract(piece)
                    extracting.append(time.process_time() - middle)
            reading.append(middle - start)
        except _TooLongError:
            late += 1
        except Exception:  # noqa: BLE001 (any library, any fault: it counts as refused)
            refused += 1
    return {
        "files": len(paths),
        "refused": refused,
        "over_time": late,
        "reading": reading,
        "extracting": extracting,
        "numbers": numbers,
        "mb_when_loaded": base,
        "peak_mb": peak(),
    }


def peak() -> float:
    """MB that this process has had in memory at most; what `resource` says counts what its parent had before the start."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


# -- in the main process -----------------------------------------------------------------------------------------------


def in_child(name: str, what: str, paths: list[Path]) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as listed:
        json.dump([str(p) for p in paths], listed)
        listed.flush()
        out = subprocess.run(
            [sys.executable, __file__, "--child", name, what, listed.name],
            check=True,
            stdout=subprocess.PIPE,
            env=environment(),
        )
    result: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return result


def environment() -> dict[str, str]:
    """One thread for NumPy's algebra; byte code is kept, as in an installed package."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": str(BYTE_CODE)}


BYTE_CODE: Final = Path(tempfile.gettempdir()) / f"fugato-speed-{os.getpid()}"


def spread(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile and sum."""
    ranked = sorted(seconds)
    return {
        "median_ms": round(1e3 * statistics.median(ranked), 2),
        "p95_ms": round(1e3 * ranked[min(int(0.95 * len(ranked)), len(ranked) - 1)], 2),
        "total_s": round(sum(ranked), 2),
    }


def parse(files: list[Path]) -> dict[str, Any]:
    few = random.Random(SEED).sample(files, FEW)
    out: dict[str, Any] = {"clock": "CPU seconds", "cap_seconds": CAP, "load_before": load()}
    for name in ("fugato", "symusic", "mido", "pretty_midi", "music21"):
        found = in_child(name, "parse", few if name == "music21" else files)
        own = {k: found[k] for k in ("files", "refused", "over_time", "mb_when_loaded", "peak_mb")}
        out[name] = own | {"sampled": name == "music21"} | spread(found["reading"])
        row = out[name]
        print(
            f"{name:12} {row['files']:4} files  median {row['median_ms']:9.2f} ms  p95 {row['p95_ms']:9.2f} ms  total "
            f"{row['total_s']:7.2f} s  peak {row['peak_mb']:6.1f} MB (loaded: {row['mb_when_loaded']})  refused {row['refused']}, "
            f"over time {row['over_time']}"
        )
    for name in ("mido", "pretty_midi", "music21"):
        out[name]["times_as_long_as_fugato"] = round(out[name]["median_ms"] / out["fugato"]["median_ms"], 1)
    return out


def features(files: list[Path]) -> dict[str, Any]:
    few = random.Random(SEED).sample(files, FEW)[:FEWER]
    out: dict[str, Any] = {"clock": "CPU seconds", "cap_seconds": CAP, "load_before": load(), "computes": COMPUTES}
    out["over_time"] = "left out of the seconds, which favours the slow"
    for label, name, chosen in (
        ("fugato", "fugato", files),
        ("pretty_midi", "pretty_midi", files),
        ("fugato, the files of music21", "fugato", few),
        ("music21", "music21", few),
    ):
        found = in_child(name, "features", chosen)
        done = len(found["extracting"])
        reading, extracting = sum(found["reading"]), sum(found["extracting"])
        out[label] = {
            **{k: found[k] for k in ("files", "refused", "over_time")},
            "numbers_a_piece": round(found["numbers"] / done),
            "reading_ms": round(1e3 * reading / done, 2),
            "extracting_ms": round(1e3 * extracting / done, 2),
            "pieces_a_second": round(done / (reading + extracting), 2),
            "pieces_a_second_already_read": round(done / extracting, 2),
            "numbers_a_second": round(found["numbers"] / (reading + extracting)),
        }
        row = out[label]
        print(
            f"{label:30} {done:4} files  reading {row['reading_ms']:8.2f} ms  extracting {row['extracting_ms']:9.2f} ms  "
            f"{row['pieces_a_second']:8.2f} pieces/s, already read {row['pieces_a_second_already_read']:8.2f}"
        )
    for name, own in (("pretty_midi", "fugato"), ("music21", "fugato, the files of music21")):
        keys = ("pieces_a_second", "pieces_a_second_already_read", "numbers_a_second")
        out[f"fugato_times_{name}"] = {k: round(out[own][k] / out[name][k], 1) for k in keys}
        print(f"Fugato is {out[f'fugato_times_{name}']['pieces_a_second']} times as fast as {name}'s, reading included")
    return out


def run(arguments: list[str]) -> tuple[float, float]:
    """Wall seconds and peak MB of one `fugato` process (the largest of it and its workers)."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "fugato", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"fugato {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def cold(corpora: Path, files: list[Path], model: str) -> dict[str, Any]:
    xml = [corpora / r["path"] for r in index(corpora) if r["corpus"] == "asap" and r["path"].endswith("xml")]
    out: dict[str, Any] = {"clock": "wall seconds, a new process each", "runs": RUNS, "load_before": load()}
    for kind, found in (("mid", files), ("musicxml", xml)):
        ranked = sorted((p for p in found if p.is_file()), key=lambda p: (p.stat().st_size, p.name))
        with tempfile.TemporaryDirectory() as folder:
            one = Path(folder) / f"one.{kind}"
            shutil.copy(ranked[len(ranked) // 2], one)  # of median size
            arguments = ["identify", str(one), "--model", model, "--json"]
            run(arguments)
            taken = [run(arguments) for _ in range(RUNS)]
            out[kind] = {
                "bytes": one.stat().st_size,
                "median_s": round(statistics.median(t for t, _ in taken), 3),
                "worst_s": round(max(t for t, _ in taken), 3),
                "peak_mb": round(max(mb for _, mb in taken), 1),
            }
        print(f"identify one.{kind}: {out[kind]}")
    return out


def resident(pid: int) -> float:
    """MB of a process in memory now; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except (OSError, IndexError):
        return 0.0


def children(pid: int) -> list[int]:
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, tasks.read_text().split())
        except OSError:
            pass
    return found


def folder(files: list[Path], model: str) -> dict[str, Any]:
    out: dict[str, Any] = {"clock": "wall seconds, start of all processes included", "files": len(files)}
    with tempfile.TemporaryDirectory() as top:
        place = Path(top) / "pieces"
        place.mkdir()
        for number, path in enumerate(files):
            shutil.copy(path, place / f"{number:04}{path.suffix}")
        for jobs in (2, 1):
            answers = Path(top) / f"{jobs}.jsonl"
            arguments = ["identify", str(place), "--model", model, "--jobs", str(jobs), "--out", str(answers)]
            before = load()
            start = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "fugato", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(),
            )
            seen: list[tuple[float, float]] = []  # MB of the main process, and of the workers together
            while process.poll() is None:
                seen.append((resident(process.pid), sum(map(resident, children(process.pid)))))
                time.sleep(EVERY)
            seconds = time.perf_counter() - start
            lines = [json.loads(line) for line in answers.read_bytes().splitlines()]
            seen = [s for s in seen if min(s) > 0]
            at = {"beginning": 0.15, "middle": 0.5, "end": 0.95}  # shares of the run
            out[f"jobs_{jobs}"] = {
                "seconds": round(seconds, 2),
                "pieces_a_second": round(len(files) / seconds, 1),
                "answered": sum("error" not in line for line in lines),
                "failed": sum("error" in line for line in lines),
                "each_exactly_once": len(lines) == len({line["input"] for line in lines}) == len(files),
                "main_mb": {k: round(seen[int(len(seen) * x)][0], 1) for k, x in at.items()},
                "workers_mb": {k: round(seen[int(len(seen) * x)][1], 1) for k, x in at.items()},
                "load_before": before,
            }
            print(f"folder of {len(files)}, --jobs {jobs}: {out[f'jobs_{jobs}']}")
    return out


def load() -> float:
    return round(os.getloadavg()[0], 2)


def index(corpora: Path) -> list[dict[str, str]]:
    with (corpora / "index.csv").open(encoding="utf-8") as rows:
        return list(csv.DictReader(rows))


def corpora_of(given: str | None) -> Path:
    """The folder of the corpora: as given, FUGATO_CORPORA, the usual cache, or where the shared unpacker puts them."""
    usual = Path(os.environ.get("FUGATO_CORPORA", Path.home() / ".cache" / "fugato" / "corpora"))
    found = Path(given) if given else usual
    if not (found / "index.csv").is_file():
        unpack = Path(__file__).parents[2] / "shared" / "data" / "unpack.py"
        command = [sys.executable, str(unpack), "classics", "maestro", "asap"]
        found = Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[0])
    return found


def sample(corpora: Path, n: int) -> list[Path]:
    """`n` MIDI files of `classics` and `maestro`, the same on every machine."""
    paths = sorted(r["path"] for r in index(corpora) if r["corpus"] in ("classics", "maestro"))
    return [corpora / p for p in random.Random(SEED).sample(paths, n)]


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        name, what, listed = sys.argv[2:]
        found = child(name, what, json.loads(Path(listed).read_text()))
        print(json.dumps(found))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--corpora")
    parser.add_argument("--model", default="composer")
    options = parser.parse_args()
    corpora = corpora_of(options.corpora)
    files = sample(corpora, FILES)
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    result["sample"] = {
        "corpora": ["classics", "maestro"],
        "files": FILES,
        "random_seed": SEED,
        "music21_files": {"parse": FEW, "features": FEWER},
    }
    result["machine"] = {"cpus": os.cpu_count(), "python": sys.version.split()[0], **versions()}
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "parse": lambda: parse(files),
        "features": lambda: features(files),
        "cold": lambda: cold(corpora, files, options.model),
        "folder": lambda: folder(sample(corpora, FOLDER), options.model),
    }
    try:
        for part in options.parts or PARTS:
            result[part] = work[part]()
            RESULT.write_text(json.dumps(result, indent=1) + "\n")
    finally:
        shutil.rmtree(BYTE_CODE, ignore_errors=True)


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("numpy", "symusic", "mido", "pretty_midi", "music21")}


if __name__ == "__main__":
    main()
