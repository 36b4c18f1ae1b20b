"""The worker process: it comes back after a crash, ends with its parent, and serves many files in their order."""

from __future__ import annotations

import hashlib
import importlib
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fugato.errors import FugatoError
from fugato.read import Limits, Reader, read, read_many
from fugato.score import Score

from .read_files import ABC, KERN, midi, musicxml, scale, xml_note

TRICKS = """
import json, os, sys, time

def count(score, *, name, sha256, add=0):
    return json.dumps([len(score) + add, name, sha256]).encode()

def trick(score, *, name, sha256):
    title = score.title
    if title == "crash":
        os._exit(11)
    if title == "hang":
        time.sleep(60)
    if title == "eat":
        return bytes(3_000_000_000)
    if title == "stumble":
        raise ValueError("not this one")
    if title == "refuse":
        from fugato.errors import FugatoError
        raise FugatoError("too-short", "too few notes")
    print("noise on standard output")
    return title.encode()

def read_in_child(queue, data):
    from fugato.read import read
    queue.put(len(read(data)))
"""


@pytest.fixture
def tricks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "reader_tricks.py").write_text(TRICKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "reader_tricks"


def titled(title: str) -> bytes:
    return musicxml(xml_note("C"), head=f"<work><work-title>{title}</work-title></work>")


def test_a_worker_reads_what_this_process_would() -> None:
    with Reader() as reader:
        for data in (midi(scale()), titled("x"), KERN.encode(), ABC.encode()):
            (there,) = reader.read(data)
            here = read(data, sandbox=False)
            assert there.notes.tobytes() == here.notes.tobytes()
            assert there.bars.tolist() == here.bars.tolist()
            assert (there.title, there.composer, there.meters) == (here.title, here.composer, here.meters)
        assert reader.restarts == 0


def test_analysis_runs_in_the_worker_and_answers_carry_the_hash(tricks: str) -> None:
    data = midi(scale())
    (item,) = read_many([data], then=f"{tricks}:count", options={"add": 3})
    sha256 = hashlib.sha256(data).hexdigest()
    assert item.sha256 == sha256
    assert item.result == f'[7, "", "{sha256}"]'.encode()


def test_a_crash_a_hang_and_a_hunger_cost_one_file_each(tricks: str) -> None:
    titles = ["one", "crash", "two", "hang", "three", "eat", "four", "stumble", "refuse", "five"]
    items = list(read_many(map(titled, titles), then=f"{tricks}:trick", limits=Limits(seconds=2, memory=1_000_000_000)))
    answers = [i.result.kind if isinstance(i.result, FugatoError) else i.result for i in items]
    assert answers == [
        b"one",
        "corrupt",
        b"two",
        "timeout",
        b"three",
        "too-large",
        b"four",
        "corrupt",
        "too-short",
        b"five",
    ]


def test_a_function_that_does_not_exist_is_a_mistake_of_the_program() -> None:
    with pytest.raises(RuntimeError, match="no_such_module"):
        list(read_many([midi(scale())], then="no_such_module:f"))


@pytest.mark.parametrize("jobs", [1, 3])
def test_many_files_come_back_in_order_with_bad_ones_among_them(jobs: int, tmp_path: Path) -> None:
    paths: list[Path] = []
    for i in range(30):
        paths.append(tmp_path / f"{i}.mid")
        if i % 10 != 9:
            paths[-1].write_bytes(midi(scale() * (i + 1)))
    items = list(read_many(paths, jobs=jobs))
    assert [i.source for i in items] == paths
    assert [len(i.result) if isinstance(i.result, Score) else i.result.kind for i in items] == [  # type: ignore[union-attr]
        "bad-data" if i % 10 == 9 else 4 * (i + 1) for i in range(30)
    ]
    bad = items[9].result
    assert isinstance(bad, FugatoError)
    assert bad.input == str(paths[9])


def test_an_endless_stream_of_files_is_read_as_it_is_needed() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield midi(scale())

    stream = read_many(endless())
    for _ in range(5):
        assert isinstance(next(stream).result, Score)
    assert taken < 15
    stream.close()  # type: ignore[attr-defined]


def test_a_book_of_tunes_has_a_result_for_each() -> None:
    book = ABC + "\n" + ABC.replace("X:1", "X:2").replace("The first", "The second")
    (item,) = read_many([book.encode()])
    assert isinstance(item.result, Score)
    assert [t.title for t in item.tunes if isinstance(t, Score)] == ["The first", "The second"]


def test_threads_share_one_reader() -> None:
    found: list[int] = []
    with Reader() as reader:
        threads = [
            threading.Thread(target=lambda n=n: found.append(len(reader.read(midi(scale() * n))[0])))  # type: ignore[misc]
            for n in range(1, 9)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert sorted(found) == [4 * n for n in range(1, 9)]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_reading_works_in_a_daemonic_process(method: str, tricks: str) -> None:
    assert len(read(titled("parent"))) == 1  # the shared reader lives when the child is forked
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(  # type: ignore[attr-defined]
        target=importlib.import_module(tricks).read_in_child, args=(queue, titled("child")), daemon=True
    )
    child.start()
    assert queue.get(timeout=30) == 1
    child.join(10)
    assert len(read(titled("parent"))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="process ids are looked up the POSIX way")
def test_the_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, signal
        from fugato.read import Reader
        reader = Reader()
        try:
            reader.read(b"X:1\\nK:C\\nC\\n")
        finally:
            print(reader._process.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment, timeout=60, check=False
    )
    worker = int(done.stdout)
    for _ in range(60):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{worker}/stat").exists() and Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its parent")


def test_small_midi_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    assert len(read(midi(scale()))) == 4
