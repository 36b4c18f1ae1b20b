"""A server of the API as its users meet it: in a process of its own, on a free port, with files to send to it."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fugato.corpus.examples import EXAMPLES

from .read_files import ABC, KERN, midi, musicxml, note, scale, xml_note

START_SECONDS = 60.0
PROGRAM = """
import sys
from pathlib import Path
from fugato.serve.server import run
from fugato.serve.settings import Settings
run(Settings(port=0, **{settings!r}), ready=lambda address: print(address, flush=True))
"""


class Served:
    """A server that runs: its address, its process and its folder."""

    def __init__(self, address: str, process: subprocess.Popen[str], home: Path) -> None:
        self.address, self.process, self.home = address, process, home

    @property
    def folder(self) -> Path:
        """Where it keeps uploads and results."""
        return self.home / "serve"

    def files(self) -> list[str]:
        """What lies in its folder now, but for its lock and the list of fonts."""
        found = (p for p in self.folder.rglob("*") if p.is_file())
        return [str(p) for p in found if p.name != "lock" and "matplotlib" not in p.parts]

    def children(self) -> set[int]:
        """Processes that it has started and that run."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listed.splitlines()]
        return {int(pid) for pid, parent, stat in rows if int(parent) == self.process.pid and not stat.startswith("Z")}

    def stop(self, how: int = signal.SIGINT) -> str:
        """End it; what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            _, said = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return said


def start(home: Path, environment: dict[str, str] | None = None, **settings: Any) -> Served:
    """A server with these settings that answers already."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(settings=settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FUGATO_HOME": str(home), "OMP_NUM_THREADS": "1", **(environment or {})},
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    if not address:
        raise AssertionError(process.communicate()[1])
    token = settings.get("token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(address + "health", headers=headers, timeout=20).raise_for_status()
            return Served(address.rstrip("/"), process, home)
        except httpx.ConnectError:
            if time.monotonic() > until or process.poll() is not None:
                process.kill()
                raise
            time.sleep(0.1)


@contextmanager
def serving(home: Path, environment: dict[str, str] | None = None, **settings: Any) -> Iterator[Served]:
    """The same for the length of a block."""
    served = start(home, environment, **settings)
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that leave it as it was."""
    from matplotlib import get_configdir

    environment = {
        "FUGATO_SOUNDFONT": "built-in",
        "MPLCONFIGDIR": get_configdir(),
    }  # its list of fonts takes seconds to make
    with serving(tmp_path_factory.mktemp("served"), environment) as running:
        yield running


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    """A plain client of it."""
    with httpx.Client(base_url=served.address, timeout=120, trust_env=False) as client:
        yield client


def example_file(name: str) -> Path:
    """A piece of music21's corpus by its short name."""
    path = next(e.file for e in EXAMPLES if e.name == name)
    assert path is not None
    return path


def sent(*paths: Path) -> list[tuple[str, tuple[str, bytes]]]:
    """Files as httpx takes them."""
    return [("files", (path.name, path.read_bytes())) for path in paths]


def wait_for(true: Any, seconds: float = 20.0) -> bool:
    """Whether something becomes true in time."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def hostile(number: int, *, random_seed: int = 0) -> list[bytes]:
    """Files that nobody should read: noise, torn and damaged music and sound, bombs, claims that are not true."""
    rng = random.Random(random_seed)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>'
        )
        archive.writestr("a.xml", b"<score-partwise>" + b" " * 30_000_000)
    entities = "".join(
        f'<!ENTITY e{i} "{"&e" + str(i - 1) + ";" if i else "x"}{"&e" + str(i - 1) + ";" if i else "x"}">'
        for i in range(30)
    )
    fixed = [
        b"",
        b"MThd" + bytes([255] * 30),
        midi(note(60, 0xFFFFFFF) * 50),
        midi(*([b""] * 1500)),
        midi(note(60, 1) * 100_000),
        f"<!DOCTYPE a [{entities}]><score-partwise>&e29;</score-partwise>".encode(),
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><score-partwise>&x;</score-partwise>',
        b"<score-partwise>" * 20_000,
        bomb.getvalue(),
        b"**kern\n" + b"4c\n" * 200_000,
        b"X:1\nK:C\n" + b"(" * 100_000,
        b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\xff\xff\xff\xff\xff\xff" + bytes(2000),
        b"fLaC" + rng.randbytes(5000),
        b"OggS" + rng.randbytes(5000),
    ]
    good = [midi(scale() * 20), musicxml(xml_note("C") * 40), KERN.encode(), ABC.encode()]
    while len(fixed) < number:
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 20)] = rng.randbytes(rng.randint(0, 20))
        fixed.append(bytes(data))
    return fixed[:number] if number < len(fixed) else fixed
