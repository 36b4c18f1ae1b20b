"""The server under load: uploads at once, memory after many requests, answers while two pieces are composed, a live listener.

    python benchmarks/serve.py [--hostile 500]

Starts `fugato serve` on a free port and asks it over loopback, with pieces of music21's corpus, a MIDI file of 5,000 notes and the hostile
files of the tests. Memory is that of the server and all its processes: proportional set size (PSS), which counts a page that several share
once. Writes benchmarks/results/serve.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.api_server import Served, hostile, serving

from fugato.corpus.examples import examples
from fugato.score import Score
from fugato.write.midi import midi_bytes

RESULT = Path(__file__).parent / "results" / "serve.json"
AT_ONCE, UPLOADS, MIXED = 50, 200, 500
FILES = [(path.name, path.read_bytes()) for _, path in examples()]


def five_thousand_notes() -> bytes:
    """A MIDI file of 5,000 notes: pieces of the examples, one after another."""
    from fugato.read import read

    onsets, lengths, pitches, end = [], [], [], 0.0
    for name, data in FILES * 3:
        score = read(data, name=name)
        onsets += (score.pitched["onset"] + end).tolist()
        lengths += score.pitched["duration"].tolist()
        pitches += score.pitched["pitch"].tolist()
        end += score.end
    order = np.argsort(onsets, kind="stable")[:5_000]
    table = [np.asarray(column)[order] for column in (onsets, lengths, pitches)]
    return midi_bytes(Score.from_notes(*table))


def memory(served: Served) -> dict[str, float]:
    """Megabytes of the server and its processes: PSS, and RSS for comparison."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    own, grown = {served.process.pid}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in own} - own
        own, grown = own | more, bool(more)
    found = {"pss": 0.0, "rss": 0.0, "processes": 0.0}
    for pid in own:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.startswith(("Pss:", "Rss:"))}
        found = {
            "pss": found["pss"] + sizes["Pss"],
            "rss": found["rss"] + sizes["Rss"],
            "processes": found["processes"] + 1,
        }
    return {key: round(value, 1) for key, value in found.items()}


def timed(ask: Any) -> tuple[float, httpx.Response]:
    """Seconds that a request takes, and its response."""
    started = time.perf_counter()
    response = ask()
    return time.perf_counter() - started, response


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile and longest."""
    return {
        "median": round(median(seconds), 3),
        "p95": round(float(np.quantile(seconds, 0.95)), 3),
        "longest": round(max(seconds), 3),
    }


def load(served: Served) -> dict[str, Any]:
    """`UPLOADS` uploads, `AT_ONCE` at a time, each answered or counted as lost."""

    def one(number: int) -> tuple[float, bool]:
        with httpx.Client(base_url=served.address, timeout=600) as http:
            name, data = FILES[number % len(FILES)]
            seconds, response = timed(lambda: http.post("/api/identify", files=[("files", (name, data))]))
            return seconds, response.status_code == 200 and "ranking" in response.json()[0]

    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(one, range(UPLOADS)))
    whole = time.perf_counter() - started
    return {
        "at_once": AT_ONCE,
        "uploads": UPLOADS,
        "lost": sum(not answered for _, answered in found),
        "seconds": quantiles([seconds for seconds, _ in found]),
        "a_second": round(UPLOADS / whole, 1),
        "memory_mb": memory(served),
    }


def first_answer(http: httpx.Client) -> dict[str, Any]:
    """Naming a piece of 5,000 notes with everything that the page asks for, when the server is warm."""
    data = five_thousand_notes()
    rows: dict[str, list[float]] = {"identify": [], "identify, explained": [], "notes": []}
    for _ in range(10):
        for what, seconds in rows.items():
            route, fields = ("notes", {}) if what == "notes" else ("identify", {"explain": str("," in what).lower()})
            took, response = timed(
                lambda r=route, f=fields: http.post(f"/api/{r}", files=[("files", ("x.mid", data))], data=f)
            )
            response.raise_for_status()
            seconds.append(took)
    return {what: quantiles(seconds) for what, seconds in rows.items()}


def while_composing(http: httpx.Client) -> dict[str, Any]:
    """Identify while two pieces are composed; and how soon the first bar of a piece comes when nothing else is done."""
    first: list[float] = []
    for number in range(5):
        started = time.perf_counter()
        with http.stream(
            "GET", "/api/compose/stream", params={"style": "Chopin", "bars": 8, "random_seed": number}
        ) as response:
            next(line for line in response.iter_lines() if line.startswith("event: bar"))
            first.append(time.perf_counter() - started)
        time.sleep(0.5)
    time.sleep(11)  # until those that were left are stopped
    jobs = [
        http.post("/api/compose", data={"style": "Bach", "bars": 512, "variations": 8}).json()["job"] for _ in range(2)
    ]
    until = time.monotonic() + 60
    while (
        any(http.get(f"/api/compose/{job}").json()["progress"]["bars"] == 0 for job in jobs)
        and time.monotonic() < until
    ):
        time.sleep(0.2)
    seconds = []
    for number in range(40):
        name, data = FILES[number % len(FILES)]
        took, response = timed(lambda n=name, d=data: http.post("/api/identify", files=[("files", (n, d))]))
        response.raise_for_status()
        seconds.append(took)
    bars = [http.get(f"/api/compose/{job}").json()["progress"]["bars"] for job in jobs]
    for job in jobs:
        http.delete(f"/api/compose/{job}")
    return {
        "first_bar_seconds": quantiles(first),
        "jobs": 2,
        "bars_written_meanwhile": bars,
        "identify_seconds": quantiles(seconds),
    }


def live(served: Served) -> dict[str, Any]:
    """Updates of a live listener, four notes at a time, over the 5,000 notes."""
    from websockets.sync.client import connect

    from fugato.read import read

    notes = read(five_thousand_notes(), name="x.mid").notes
    rows = [
        [int(n["pitch"]), float(n["onset_seconds"]), float(n["onset_seconds"] + n["duration_seconds"]), 64]
        for n in notes
    ]
    seconds = []
    with connect(served.address.replace("http", "ws") + "/api/live", proxy=None) as socket:
        for start in range(0, len(rows), 4):
            began = time.perf_counter()
            socket.send(json.dumps({"notes": rows[start : start + 4]}))
            answer = json.loads(socket.recv(60))
            assert "error" not in answer, answer
            seconds.append(time.perf_counter() - began)
    return {"updates": len(seconds), "seconds": quantiles(seconds[1:]), "first_update_seconds": round(seconds[0], 3)}


def mixed(http: httpx.Client, served: Served) -> dict[str, Any]:
    """`MIXED` requests of all kinds, eight at a time."""
    rng = random.Random(0)
    wav = http.get("/api/examples/bach-bwv66-6-played").content
    many = 0
    lock = threading.Lock()
    statuses: dict[int, int] = {}

    def one(number: int) -> None:
        nonlocal many
        name, data = FILES[number % len(FILES)]
        upload = [("files", (name, data))]
        kind = (
            "identify",
            "identify",
            "notes",
            "convert?to=mid",
            "convert?to=musicxml",
            "genre",
            "sound",
            "compare",
            "convert?to=png",
            "get",
        )[number % 10]
        if kind == "get":
            response = http.get(("/api/composers", "/api/models", "/api/examples")[number // 10 % 3])
        elif kind in ("genre", "sound"):
            response = http.post(f"/api/{kind}", files=[("files", ("x.wav", wav))])
        elif kind == "compare":
            other = FILES[rng.randrange(len(FILES))]
            response = http.post("/api/compare", files=[*upload, ("files", other)])
        else:
            response = http.post(f"/api/{kind}", files=upload)
        with lock:
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1

    started = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(MIXED)))
    return {
        "requests": MIXED,
        "statuses": statuses,
        "seconds": round(time.perf_counter() - started, 1),
        "memory_mb": memory(served),
    }


def harm(http: httpx.Client, served: Served, number: int) -> dict[str, Any]:
    """Hostile uploads: every one is answered, and the server goes on."""
    outcomes: dict[str, int] = {}
    started = time.perf_counter()
    for at, data in enumerate(hostile(number, random_seed=1)):
        route, suffix = (("identify", "mid"), ("genre", "wav"))[at % 5 == 4]
        (answer,) = http.post(f"/api/{route}", files=[("files", (f"x.{suffix}", data))]).json()
        outcome = answer["error"]["kind"] if "error" in answer else "answered"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    alive = http.get("/health").status_code == 200 and served.process.poll() is None
    left = [file for file in served.files() if "/uploads/" in file]
    return {
        "uploads": number,
        "outcomes": outcomes,
        "still_running": alive,
        "files_left": len(left),
        "seconds": round(time.perf_counter() - started, 1),
        "memory_mb": memory(served),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hostile", type=int, default=500)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        serving(Path(home)) as served,
        httpx.Client(base_url=served.address, timeout=600) as http,
    ):
        time.sleep(8)  # until its workers are warm
        result: dict[str, Any] = {
            "machine": {
                "processors": os.cpu_count(),
                "python": platform.python_version(),
                "load": os.getloadavg()[0],
            }
        }
        result["memory_warm_mb"] = memory(served)
        for name, measure in (
            ("load", lambda: load(served)),
            ("five_thousand_notes_seconds", lambda: first_answer(http)),
            ("composing", lambda: while_composing(http)),
            ("live", lambda: live(served)),
            ("mixed", lambda: mixed(http, served)),
            ("hostile", lambda: harm(http, served, options.hostile)),
        ):
            result[name] = measure()
            print(name, json.dumps(result[name]), flush=True)
            result["machine"]["load_after"] = round(os.getloadavg()[0], 1)
            RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
