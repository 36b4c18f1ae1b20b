"""Parquet shards with a manifest: each input once, whatever ends the run and wherever it goes on."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs the extra scale")
from pyarrow import parquet

from fugato.cli.output import JsonLines
from fugato.errors import FugatoError
from fugato.scale import shards as module
from fugato.scale.shards import Entry, Shards, read_manifest

ASKED = {"task": "identify", "model": "composer"}


def answer(number: int) -> dict[str, Any]:
    if number % 7 == 3:
        return FugatoError("corrupt", "It is damaged.", f"{number:03}.mid").to_dict()
    return {
        "input": f"{number:03}.mid",
        "sha256": f"{number:064x}",
        "task": "composer",
        "name": "Chopin",
        "probability": 0.5,
        "known": True,
        "model": {"name": "composer", "version": "1.0.0"},
    }


def fill(folder: Path, numbers: range, **options: Any) -> None:
    with Shards(folder, ASKED, **options) as shards:
        for number in numbers:
            shards.write(answer(number))


def rows(folder: Path) -> list[str]:
    return [name for path in sorted((folder / "rows").glob("*.parquet")) for name in _names(path)]


def _names(path: Path) -> list[str]:
    return parquet.read_table(path).column("input").to_pylist()


def test_a_run_leaves_one_row_for_each_input_and_lists_what_failed(tmp_path: Path) -> None:
    fill(tmp_path / "run", range(30))
    manifest = list(read_manifest(tmp_path / "run"))
    assert [row["input"] for row in manifest] == [f"{n:03}.mid" for n in range(30)]
    assert {row["status"] for row in manifest[:3]} == {"answered"} and manifest[4]["sha256"] == f"{4:064x}"
    failed = [json.loads(line) for line in (tmp_path / "run" / "failed.jsonl").read_text().splitlines()]
    assert [f["input"] for f in failed] == [f"{n:03}.mid" for n in range(30) if n % 7 == 3]
    assert failed[0]["error"] == {"kind": "corrupt", "message": "It is damaged."}
    assert rows(tmp_path / "run") == [f"{n:03}.mid" for n in range(30) if n % 7 != 3]
    assert sorted(p.name for p in (tmp_path / "run" / "manifest").iterdir()) == ["00000.parquet"]


def test_a_killed_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shards = Shards(folder, ASKED, piece=4)
    for number in range(10):
        shards.write(answer(number))
    shards._lock.close()  # as if killed: two answers were not kept yet
    with pytest.raises(FugatoError, match="--resume") as caught:
        Shards(folder, ASKED)
    assert caught.value.kind == "bad-output"
    with Shards(folder, ASKED, resume=True, piece=4) as again:
        names = [f"{n:03}.mid" for n in range(12)]
        assert again.left(names) == names[8:]
        assert again.failed_before == {"003.mid"}
        for number in range(8, 12):
            again.write(answer(number))
        again.write(answer(11))
    assert [row["input"] for row in read_manifest(folder)] == names
    assert rows(folder) == [f"{n:03}.mid" for n in range(12) if n % 7 != 3]


@pytest.mark.parametrize("moment", range(8))
def test_a_kill_at_any_file_loses_and_repeats_nothing_that_was_kept(
    moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at the n-th rename, or the n-th removal of a piece."""
    folder, left = tmp_path / "run", moment
    monkeypatch.setattr(module, "INPUTS", 8)

    class Killed(BaseException):
        pass

    def counted(real: Any) -> Any:
        def step(self: Path, *args: Any, **options: Any) -> Any:
            nonlocal left
            if not self.name.startswith(".lock") and ".parquet" in self.name:
                if left == 0:
                    raise Killed
                left -= 1
            return real(self, *args, **options)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted(Path.replace))
        shards = Shards(folder, ASKED, piece=4)
        with pytest.raises(Killed):
            for number in range(40):
                shards.write(answer(number))
        shards._lock.close()
    with Shards(folder, ASKED, resume=True, piece=4) as again:
        kept = len(again.done)
        assert kept >= 4 * ((moment + 1) // 2) - 8
        for name in again.left([f"{n:03}.mid" for n in range(40)]):
            again.write(answer(int(name[:3])))
    assert sorted(row["input"] for row in read_manifest(folder)) == [f"{n:03}.mid" for n in range(40)]
    assert sorted(rows(folder)) == [f"{n:03}.mid" for n in range(40) if n % 7 != 3]
    assert all("-" not in p.name for p in (folder / "rows").iterdir())


def test_shards_are_closed_when_they_are_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INPUTS", 8)
    fill(tmp_path / "run", range(20), piece=4)
    assert [len(_names(p)) for p in sorted((tmp_path / "run" / "manifest").iterdir())] == [8, 8, 4]


def test_names_that_are_no_unicode_are_known_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mid")
    with Shards(tmp_path / "run", ASKED) as shards:
        shards.add(Entry(name, "", ("corrupt", "It is damaged.")))
    with Shards(tmp_path / "run", ASKED, resume=True) as shards:
        assert shards.left([name, "café.mid"]) == ["café.mid"]


def test_another_question_or_another_folder_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "run", range(3))
    before = sorted(p.read_bytes() for p in (tmp_path / "run" / "manifest").iterdir())
    for asked, options, words in (
        (ASKED, {}, "--resume"),
        ({**ASKED, "model": "mine"}, {"resume": True}, "model: 'composer', now 'mine'"),
    ):
        with pytest.raises(FugatoError, match=words) as caught:
            Shards(tmp_path / "run", asked, **options)
        assert caught.value.kind == "bad-output"
    assert before == sorted(p.read_bytes() for p in (tmp_path / "run" / "manifest").iterdir())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("one")
    for other in ("thesis", "thesis/chapter.txt"):
        with pytest.raises(FugatoError) as caught:
            Shards(tmp_path / other, ASKED)
        assert caught.value.kind == "bad-output"
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no advisory locks")
def test_a_second_run_is_refused_until_the_first_ends_however_that_happens(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    program = (
        "import sys, time; from fugato.scale.shards import Shards, Entry\n"
        f"shards = Shards({str(folder)!r}, {ASKED!r}, piece=1); shards.add(Entry('a', '', None)); print('there', flush=True)\n"
        "time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    first = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    assert first.stdout is not None and first.stdout.readline() == "there\n"
    for resume in (False, True):
        with pytest.raises(FugatoError) as caught:
            Shards(folder, ASKED, resume=resume)
        assert caught.value.kind == "busy"
    first.kill()
    first.wait()
    with Shards(folder, ASKED, resume=True) as shards:
        assert shards.done == {"a"}


# -- no room, no permission --------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], capture_output=True, check=False)


def test_a_full_disk_is_said_and_what_was_kept_stays(small_disk: Path) -> None:
    folder = small_disk / "run"
    with pytest.raises(FugatoError) as caught, Shards(folder, ASKED, piece=8) as shards:
        for number in range(100_000):
            shards.write({**answer(number), "more": os.urandom(400).hex()})
    assert caught.value.kind == "bad-output" and os.strerror(errno.ENOSPC) in str(caught.value)
    kept = [row["input"] for row in read_manifest(folder)]
    assert len(kept) > 20 and kept == [f"{n:03}.mid" for n in range(len(kept))]
    assert not [p for p in folder.rglob(".*") if p.name != ".lock"], "nothing half written is left"
    answers = small_disk / "answers.jsonl"
    shutil.rmtree(folder)
    with JsonLines(answers) as lines:
        lines.write(answer(0))
    with pytest.raises(FugatoError) as caught, JsonLines(answers, resume=True) as lines:
        for number in range(1, 100_000):
            lines.write(answer(number))
    assert caught.value.kind == "bad-output"
    whole = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [a["input"] for a in whole] == [f"{n:03}.mid" for n in range(len(whole))] and len(whole) > 100


@pytest.mark.skipif(os.name == "nt", reason="limits on files are POSIX")
def test_a_quota_is_said_and_leaves_whole_lines(tmp_path: Path) -> None:
    """A limit on the size of files stops a writer as a full disk does, and needs no rights."""
    out = tmp_path / "answers.jsonl"
    program = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))\n"
        "from fugato.cli.output import JsonLines\n"
        "from fugato.errors import FugatoError\n"
        "try:\n"
        f"    with JsonLines({str(out)!r}, resume=True) as lines:\n"
        "        for number in range(10_000):\n"
        "            lines.write({'input': str(number), 'name': 'x' * 60})\n"
        "except FugatoError as error:\n"
        "    print(error.kind)\n"
    )
    out.write_bytes(b'{"input": "earlier"}\n')
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "bad-output\n"
    lines = [json.loads(line)["input"] for line in out.read_text().splitlines()]
    assert lines == ["earlier", *map(str, range(len(lines) - 1))] and len(lines) > 30


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_that_is_full_is_bad_output() -> None:
    with pytest.raises(FugatoError) as caught, JsonLines("/dev/full") as lines:
        lines.write(answer(0))
    assert caught.value.kind == "bad-output"


@pytest.mark.parametrize("place", ["/proc/fugato-run", "/dev/null/run"])
@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs a place where nobody may write")
def test_a_place_where_nobody_may_write_is_bad_output(place: str) -> None:
    for attempt in (lambda: Shards(place, ASKED), lambda: JsonLines(place)):
        with pytest.raises(FugatoError) as caught:
            attempt()
        assert caught.value.kind == "bad-output"
