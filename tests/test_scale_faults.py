"""A scheduler and three workers in processes of their own, real scores with hostile files among them, and everything that can go wrong:
one worker is killed, one is stopped, the client is killed and started again. Every input ends exactly once, as answer or named failure.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="needs the extra scale")
pytest.importorskip("pyarrow", reason="needs the extra scale")

from fugato.errors import KINDS
from fugato.read import SUFFIXES
from fugato.scale.shards import read_manifest

from .read_files import END, chunk, header, midi, mxl, note, scale

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
PATIENCE = 500.0  # seconds that a step may take on a machine with other work
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    "DASK_FUGATO__SILENT": "4s",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "5",
    "OMP_NUM_THREADS": "1",
}


def hostile(number: int) -> tuple[str, bytes]:
    """A file that is broken, or made to do harm, with a suffix of music."""
    rng = random.Random(number)
    good = midi(scale() * 20)
    kinds: list[tuple[str, Callable[[], bytes]]] = [
        ("mid", bytes),
        ("mid", lambda: good[: rng.randrange(1, len(good))]),
        ("mid", lambda: bytes(rng.randrange(256) for _ in range(400))),
        ("mid", lambda: midi(scale(), division=0)),
        ("mid", lambda: header(1) + chunk(note(60, 0x0FFFFFFF) * 30 + END)),
        ("mid", lambda: header(1) + b"MTrk\x7f\xff\xff\xff" * 1_000),
        ("xml", lambda: b"<score-partwise>" + b"<a>" * 50_000),
        ("xml", lambda: b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><score-partwise>&x;</score-partwise>'),
        ("mxl", lambda: mxl(bytes(40_000_000))),
        ("krn", lambda: b"**kern\n" + b"*^\n" * 200),
    ]
    suffix, make = kinds[number % len(kinds)]
    return suffix, make()


@pytest.fixture
def collection(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int, int]:
    """A folder of scores of music21's corpus, the smallest first, with hostile files among them; the numbers of both."""
    from music21 import common

    n_real, n_hostile = request.param
    root = Path(common.getCorpusFilePath())
    known = [p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.suffix.lower() != ".abc" and p.is_file()]
    chosen = sorted(known, key=lambda p: (p.stat().st_size, p.as_posix()))[:n_real]
    folder = tmp_path / "music"
    folder.mkdir()
    for number, path in enumerate(chosen):
        (folder / f"{number:05}{path.suffix.lower()}").write_bytes(path.read_bytes())
    for number in range(n_hostile):
        suffix, data = hostile(number)
        (folder / f"{number * len(chosen) // n_hostile:05}-hostile-{number}.{suffix}").write_bytes(data)
    return folder, len(chosen), n_hostile


class Processes:
    """A scheduler and its workers, each with its own group of processes."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._all: list[subprocess.Popen[bytes]] = []
        self._file = place / "scheduler.json"
        self._start("dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
        self.address = str(json.loads(wait_for(self._file.exists, lambda: self._file.read_text()))["address"])
        self.workers = [
            self._start(
                "dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(place)
            )
            for _ in range(3)
        ]

    def _start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        log = (self._place / f"{program}-{len(self._all)}.log").open("wb")
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(self._file), *options]
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)
        self._all.append(process)
        return process

    def end(self) -> None:
        for process in self._all:
            for number in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    pass
            process.wait()


def wait_for(ready: Callable[[], bool], then: Callable[[], Any] = lambda: None) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if ready():
            try:
                return then()
            except ValueError:  # half written
                pass
        time.sleep(0.05)
    raise AssertionError("it takes too long")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    place = tmp_path / "cluster"
    place.mkdir()
    started = Processes(place)
    yield started
    started.end()


def answered(kept: Path) -> list[str]:
    """The inputs that a run has kept so far."""
    if kept.is_dir():
        return [row["input"] for row in read_manifest(kept)]
    return [json.loads(line)["input"] for line in kept.read_bytes().split(b"\n")[:-1]] if kept.exists() else []


def rows_in(kept: Path) -> int:
    """About how many inputs a run has kept so far, without reading what it keeps: it is looked at while it goes on."""
    from pyarrow import parquet

    if not kept.is_dir():
        return kept.read_bytes().count(b"\n") if kept.exists() else 0
    rows = 0
    for path in kept.glob("manifest/*.parquet"):
        try:
            rows += parquet.read_metadata(path).num_rows
        except FileNotFoundError:  # put together with others just now
            continue
    return rows


def kinds_of(kept: Path) -> dict[str, str | None]:
    if kept.is_dir():
        return {row["input"]: row["kind"] for row in read_manifest(kept)}
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    return {line["input"]: line["error"]["kind"] if "error" in line else None for line in lines}


@pytest.mark.parametrize(
    ("collection", "option"),
    [
        pytest.param((90, 10), "--out", id="100"),
        pytest.param((500, 50), "--out", id="550", marks=pytest.mark.slow),
        pytest.param((500, 50), "--shards", id="550-shards", marks=pytest.mark.slow),
        pytest.param((2_000, 50), "--out", id="2050", marks=pytest.mark.slow),
    ],
    indirect=["collection"],
)
def test_every_input_ends_once_whatever_is_killed(
    collection: tuple[Path, int, int], option: str, processes: Processes, tmp_path: Path
) -> None:
    folder, n_real, n_hostile = collection
    inputs = sorted(map(str, folder.iterdir()))
    kept = tmp_path / "kept"
    command = [sys.executable, "-m", "fugato", "identify", str(folder), option, str(kept)]
    command += ["--top", "3", "--scheduler", processes.address]

    def at(share: float) -> None:
        def there() -> bool:
            assert client.poll() is None, client.communicate()[1][-2000:]
            return rows_in(kept) >= share * len(inputs)

        wait_for(there)

    client = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    at(0.15)
    os.killpg(processes.workers[0].pid, signal.SIGKILL)
    at(0.3)
    processes.workers[1].send_signal(signal.SIGSTOP)
    at(0.5)
    os.killpg(client.pid, signal.SIGKILL)
    client.communicate()
    before = answered(kept)
    assert 0.5 * len(inputs) <= len(before) < len(inputs) and len(set(before)) == len(before)

    again = subprocess.Popen([*command, "--resume"], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    second = subprocess.run(
        [*command, "--resume"], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    _, told = again.communicate(timeout=PATIENCE)
    busy = second if second.returncode == 2 else None
    assert busy is None or "Another process" in busy.stderr
    assert again.returncode == 1 or "Another process" in told, told[-2000:]
    assert "are answered already" in told + second.stderr

    found = kinds_of(kept)
    assert sorted(answered(kept)) == inputs, "each input exactly once"
    assert answered(kept)[: len(before)] == before or kept.is_dir(), "what was kept is not asked again"
    failed = {name: kind for name, kind in found.items() if kind is not None}
    assert set(failed.values()) <= set(KINDS)
    real = {name: kind for name, kind in failed.items() if "hostile" not in name}
    assert set(real.values()) <= {"too-short", "drums-only", "empty", "timeout"}, real
    assert len(failed) - len(real) >= 0.6 * n_hostile
    assert len(found) == n_real + n_hostile


def test_a_scheduler_without_workers_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, processes=False, dashboard_address=None, protocol="tcp") as cluster:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "fugato",
                "identify",
                str(tmp_path / "x.mid"),
                "--scheduler",
                cluster.scheduler_address,
            ],
            env={**ENVIRONMENT, "DASK_FUGATO__CONNECT": "2s"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 2 and "no workers" in done.stderr and "Traceback" not in done.stderr
