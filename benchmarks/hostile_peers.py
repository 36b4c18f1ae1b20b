"""Broken, odd and hostile files through Fugato's reader and through other libraries, each file in a process of its own.

    python benchmarks/hostile_peers.py

The files are those of the shared hostile collection and those that tests/test_hostile.py makes. A library gets the files of the formats
that it reads. Every file is opened in a fork of a process that has the library loaded; counted are crashes (the process is ended by a
signal), hangs (20 s of processor time) and files for which the process held more than 1 GB. An exception is a refusal, and fine. Fugato
is asked twice: its reader alone, without the sandbox, and as it is used. Writes benchmarks/results/hostile_peers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "hostile_peers.json"
SECONDS = 20  # of processor time
PATIENCE = 300.0  # by the clock, on a machine with other work
MEMORY = 1_000  # MB
ROOM = 6_000_000_000  # bytes of address space, for the sake of the machine
MIDI = (".mid", ".midi", ".kar", ".rmi", ".midi2")
NOTATION = (".xml", ".musicxml", ".mxl", ".krn", ".abc")


def loaded(name: str) -> tuple[Callable[[str], Any], tuple[str, ...]]:
    """How a library opens a file, and the suffixes of what it reads."""
    if name == "fugato":
        import fugato

        return fugato.read, MIDI + NOTATION
    if name == "fugato, without its sandbox":
        import fugato

        return lambda path: fugato.read(path, sandbox=False), MIDI + NOTATION
    if name == "music21":
        from music21 import converter

        return lambda path: converter.parse(path, forceSource=True), MIDI + NOTATION
    if name == "pretty_midi":
        from pretty_midi import PrettyMIDI

        return PrettyMIDI, MIDI
    if name == "mido":
        from mido import MidiFile

        return MidiFile, MIDI
    from symusic import Score

    return Score, (*MIDI, ".abc")


LIBRARIES = ("fugato", "fugato, without its sandbox", "music21", "pretty_midi", "mido", "symusic")


def tried(library: str, paths: list[Path]) -> dict[str, Any]:
    """Every file of its formats, in a fork of this process."""
    opened, suffixes = loaded(library)
    outcomes: Counter[str] = Counter()
    worst: list[dict[str, Any]] = []
    slowest, most = 0.0, 0.0
    files = [path for path in paths if path.suffix.lower() in suffixes]
    for path in files:
        outcome, seconds, megabytes = in_a_fork(opened, path)
        outcomes[outcome] += 1
        slowest, most = max(slowest, seconds), max(most, megabytes)
        over = megabytes > MEMORY
        outcomes["over 1 GB"] += over
        if over or outcome in ("crash", "hang"):
            worst.append({"file": path.name, "outcome": outcome, "mb": round(megabytes), "seconds": round(seconds, 1)})
    return {
        "files": len(files),
        **{key: outcomes[key] for key in ("opened", "refused", "crash", "hang", "over 1 GB")},
        "slowest_processor_seconds": round(slowest, 2),
        "peak_mb": round(most),
        "worst": worst,
    }


def in_a_fork(opened: Callable[[str], Any], path: Path) -> tuple[str, float, float]:
    """What became of it, processor seconds, and megabytes that its process held at most."""
    pid = os.fork()
    if pid == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
        try:
            opened(str(path))
        except BaseException:  # noqa: BLE001 (a refusal, whatever it is)
            os._exit(1)
        os._exit(0)
    until = time.monotonic() + PATIENCE
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    seconds, megabytes = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return "opened", seconds, megabytes
    if code == 1:
        return "refused", seconds, megabytes
    late = seconds > SECONDS - 1 or time.monotonic() > until
    return ("hang" if late else "crash"), seconds, megabytes


def hostile_files(folder: Path) -> list[Path]:
    """All of the set, in a folder."""
    sys.path.insert(0, str(ROOT))
    from tests.test_hostile import ALL, hostile_set, of_the_collection

    made = []
    for name, data in [*hostile_set(ALL), *of_the_collection()]:
        (folder / name).write_bytes(data)
        made.append(folder / name)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libraries", nargs="+", default=LIBRARIES, choices=LIBRARIES)
    parser.add_argument("--json", type=Path, default=RESULT)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        paths = hostile_files(Path(place))
        for library in args.libraries:
            pid = os.fork()  # so that one library does not carry another
            if pid == 0:
                found = tried(library, paths)
                before = json.loads(args.json.read_text()) if args.json.exists() else {"files": len(paths)}
                args.json.write_text(json.dumps({**before, library: found}, indent=1) + "\n")
                print(library, json.dumps({**found, "worst": len(found["worst"])}), flush=True)
                os._exit(0)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
