"""Broken, odd and hostile files through the command line and through the server: each is answered or refused by name, nothing dies.

The set is made by code (`hostile_set`) and, where the shared collections are at hand, holds all files of their hostile one. Some of it is
sent in every run of the tests, all of it in the long ones.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
httpx = pytest.importorskip("httpx", reason="the server needs the extra serve")

from fugato.errors import KINDS  # noqa: E402
from fugato.read.limits import DEFAULT_LIMITS  # noqa: E402

from . import api_server, test_scale_faults  # noqa: E402
from .api_server import Served, serving, wait_for  # noqa: E402
from .conftest import corpora_folder  # noqa: E402

SOME, ALL = 24, 260  # made by code
SOME_OF_OTHERS = 12  # of the shared collection
AT_ONCE = 32  # files of a request
SUFFIXES = ("mid", "xml", "mxl", "krn", "abc", "wav")
PATIENCE = 1_800
MEASURED = """
import pathlib, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""  # a process of its own, because a child inherits the peak of whoever starts it
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
MEMORY = 1_000_000_000  # bytes that no process may hold


def hostile_set(n: int) -> list[tuple[str, bytes]]:
    """Files with a suffix of what they pretend to be: bombs, lies and damage, the first of every kind."""
    made = [test_scale_faults.hostile(number) for number in range(min(n // 3, 30))]
    damaged = api_server.hostile(n - len(made), random_seed=16)
    made += [(_suffix(data, number), data) for number, data in enumerate(damaged)]
    return [(f"{number:04}.{suffix}", data) for number, (suffix, data) in enumerate(made)]


def _suffix(data: bytes, number: int) -> str:
    starts = {b"MThd": "mid", b"**": "krn", b"X:": "abc", b"<": "xml", b"PK": "mxl", b"RIFF": "wav"}
    return next(
        (suffix for start, suffix in starts.items() if data.startswith(start)), SUFFIXES[number % len(SUFFIXES)]
    )


def of_the_collection(n: int | None = None) -> list[tuple[str, bytes]]:
    """Files of the shared hostile collection, all of them or `n` from all over it; none where it is not at hand."""
    folder = corpora_folder()
    if folder is None:
        return []
    with (folder / "index.csv").open(encoding="utf-8") as file:
        paths = [folder / row["path"] for row in csv.DictReader(file) if row["corpus"] == "hostile"]
    chosen = paths if n is None else paths[:: max(len(paths) // n, 1)][:n]
    return [(f"c{number:04}{path.suffix}", path.read_bytes()) for number, path in enumerate(chosen)]


@pytest.fixture(params=["some", pytest.param("all", marks=pytest.mark.slow)])
def files(request: pytest.FixtureRequest) -> list[tuple[str, bytes]]:
    if request.param == "some":
        return [*hostile_set(SOME), *of_the_collection(SOME_OF_OTHERS)]
    return [*hostile_set(ALL), *of_the_collection()]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("hostile"), {"FUGATO_SOUNDFONT": "built-in"}, workers=2) as served:
        yield served


def checked(answers: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """One answer or named failure for each file, in order; none of them a stumble of a reader's."""
    assert [Path(answer["input"]).name for answer in answers] == list(names)
    for answer in answers:
        if "error" in answer:
            assert answer["error"]["kind"] in KINDS and "Traceback" not in answer["error"]["message"], answer
            assert "make no sense (" not in answer["error"]["message"], answer
        else:
            assert 0 < answer["probability"] <= 1


@pytest.mark.parametrize("command", ["identify", "genre"])
def test_the_command_line_answers_or_refuses_each(command: str, files: list[tuple[str, bytes]], tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, data in files:
        (folder / name).write_bytes(data)
    paths = [str(folder / name) for name, _ in files]  # by name, so that none is passed over for its suffix
    out, said = tmp_path / "answers.jsonl", tmp_path / "said"
    command_line = [sys.executable, "-m", "fugato", command, *paths, "--top", "2", "--out", str(out)]
    largest = tmp_path / "largest"
    with said.open("wb") as errors:
        measured = [sys.executable, "-c", MEASURED, str(largest), *command_line]
        done = subprocess.run(measured, env=ENVIRONMENT, stderr=errors, stdout=errors, check=False)
    assert done.returncode == 1, said.read_text()[-2000:]
    assert b"Traceback" not in said.read_bytes()
    checked([json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()], [name for name, _ in files])
    assert int(largest.read_text()) * 1024 < MEMORY, "of the largest of its processes"


@pytest.mark.parametrize("route", ["identify", "genre"])
def test_the_server_answers_or_refuses_each(route: str, files: list[tuple[str, bytes]], running: Served) -> None:
    with httpx.Client(base_url=running.address, timeout=PATIENCE, trust_env=False) as client:
        for start in range(0, len(files), AT_ONCE):
            some = files[start : start + AT_ONCE]
            response = client.post(f"/api/{route}", files=[("files", file) for file in some])
            assert response.status_code == 200, response.text
            checked(response.json(), [name for name, _ in some])
        assert client.get("/health").status_code == 200
    assert running.process.poll() is None
    assert wait_for(lambda: not [file for file in running.files() if "/uploads/" in file])
    assert max(memory_of({running.process.pid} | running.children())) < MEMORY


@pytest.mark.parametrize("route", ["notes", "convert?to=mid", "convert?to=musicxml", "convert?to=png", "sound"])
def test_no_file_brings_the_server_a_fault(route: str, files: list[tuple[str, bytes]], running: Served) -> None:
    some = files[:: max(len(files) // 40, 1)] if len(files) > 100 else files[::6]
    with httpx.Client(base_url=running.address, timeout=PATIENCE, trust_env=False) as client:
        for file in some:
            response = client.post(f"/api/{route}", files=[("files", file)])
            assert response.status_code < 500, (file[0], response.text)
        assert client.get("/health").status_code == 200


def memory_of(processes: set[int]) -> list[int]:
    """Bytes that processes hold now, those that there still are."""
    found = [0]
    for pid in processes:
        try:
            text = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        found += [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM")]
    return found


def test_the_set_is_large_and_no_file_of_it_is_beyond_what_is_sent() -> None:
    made = hostile_set(ALL)
    assert len(made) == ALL and len({data for _, data in made}) > 0.8 * ALL
    assert {name.rpartition(".")[2] for name, _ in made} == set(SUFFIXES)
    assert max(len(data) for _, data in made) < DEFAULT_LIMITS.midi_bytes
