"""No room on the disk, or no leave to write: one clear sentence, status 2, and what was written before stays whole."""

from __future__ import annotations

import errno
import io
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
from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.cli.output import JsonLines
from fugato.errors import FugatoError
from fugato.scale.shards import Shards, read_manifest

from .music_files import midi_of, piece
from .test_scale_shards import ASKED, answer

MANY = 12  # files of a folder
FULL = os.strerror(errno.ENOSPC)


def mounted(*arguments: str) -> bool:
    """Whether `mount` did it."""
    mount = shutil.which("mount")
    return mount is not None and subprocess.run([mount, *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)):
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one composer's pieces."""
    folder = tmp_path_factory.mktemp("music")
    (folder / "Bach").mkdir()
    for number in range(MANY):
        (folder / "Bach" / f"{number:02}.mid").write_bytes(midi_of(piece(number)))
    return folder


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


def refused(done: Any, words: str) -> None:
    """A sentence on stderr and status 2."""
    assert done.exit_code == 2 and words in done.stderr, (done.exit_code, done.stderr)
    assert "Traceback" not in done.stderr and "fault of Fugato" not in done.stderr and done.stdout == ""


def fill(place: Path, left: int) -> Path:
    """A file that takes all the room but `left` bytes, in pages of 4,096."""
    stuff = place / "stuff"
    with stuff.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.seek(0, os.SEEK_END) // 4096 * 4096 - left)
    return stuff


# -- the commands ------------------------------------------------------------------------------------------------------


def inputs_in(out: Path) -> list[str]:
    if out.is_dir():
        return [Path(row["input"]).name for row in read_manifest(out)]
    return [Path(json.loads(line)["input"]).name for line in out.read_text(encoding="utf-8").splitlines()]


NAMES = [f"{number:02}.mid" for number in range(MANY)]


@pytest.mark.parametrize("option", ["--out", "--shards"])
def test_identify_on_a_full_disk_is_said_and_goes_on_when_there_is_room(
    option: str, music: Path, small_disk: Path
) -> None:
    out = small_disk / "answers"
    stuff = fill(small_disk, 5 * 4096)
    refused(run("identify", music, option, out, "--jobs", "1"), FULL)
    kept = inputs_in(out)
    assert kept == NAMES[: len(kept)] and len(kept) < MANY
    assert option == "--shards" or len(kept) >= 1
    refused(run("identify", music, option, out, "--jobs", "1"), "--resume")
    stuff.unlink()
    done = run("identify", music, option, out, "--jobs", "1", "--resume")
    assert done.exit_code == 0, done.stderr
    assert inputs_in(out) == NAMES


def test_a_table_on_a_full_disk_is_said_and_the_old_one_stays(music: Path, small_disk: Path) -> None:
    out = small_disk / "t.csv"
    out.write_text("the old one\n")
    fill(small_disk, 2 * 4096)
    refused(run("featurise", music, "--out", out, "--overwrite", "--level", "note", "--size", "50"), FULL)
    assert out.read_text() == "the old one\n"
    assert sorted(p.name for p in small_disk.iterdir()) == ["stuff", "t.csv"], "nothing half written is left"


class Small(io.FileIO):
    """A file on a disk with room for a few answers more: it takes what fits, then nothing."""

    room = 0

    def write(self, data: Any) -> int:
        taken = min(len(data), Small.room)
        if not taken:
            raise OSError(errno.ENOSPC, FULL)
        Small.room -= taken
        return super().write(bytes(data[:taken]))


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_a_disk_that_fills_up_leaves_whole_lines(
    lines: int, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same without the right to mount anything."""
    out = tmp_path / "answers.jsonl"
    files = [music / "Bach" / name for name in NAMES[:3]]
    command = ["identify", *files, "--out", out]
    assert run(*command).exit_code == 0
    whole = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(whole[0])
    Small.room = sum(map(len, whole[1 : lines + 1])) + len(whole[0]) // 2
    opened = Path.open

    def small(path: Path, *arguments: Any, **options: Any) -> Any:
        return Small(path, "a+") if path == out and arguments == ("a+b",) else opened(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", small)
        done = run(*command, "--resume")
    if lines == 2:  # there was room for all
        assert done.exit_code == 0
    else:
        refused(done, FULL)
    assert inputs_in(out) == NAMES[: lines + 1]
    assert run(*command, "--resume").exit_code == 0 and inputs_in(out) == NAMES[:3]


@pytest.fixture
def read_only(tmp_path: Path, music: Path) -> Iterator[Path]:
    """A place that holds answers already and can only be read."""
    place = tmp_path / "archive"
    place.mkdir()
    mount = mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place))
    try:
        (place / "answers.jsonl").write_text('{"input": "precious"}\n')
        (place / "t.csv").write_text("precious\n")
        with Shards(place / "run", ASKED) as shards:
            shards.write(answer(0))
        if mount:
            assert mounted("-o", "remount,ro", str(place))
        elif os.geteuid():
            for path in (place, *place.rglob("*")):
                path.chmod(0o555 if path.is_dir() else 0o444)
        else:
            pytest.skip("root may write anywhere, and mounting a read-only tmpfs is not allowed here")
        yield place
    finally:
        if mount:
            subprocess.run(["umount", str(place)], capture_output=True, check=False)
        else:
            for path in (place, *place.rglob("*")):
                path.chmod(0o755)


@pytest.mark.parametrize("again", ["--resume", "--overwrite"])
def test_a_place_that_can_only_be_read_is_said_and_stays(again: str, music: Path, read_only: Path) -> None:
    before = {path: path.read_bytes() for path in read_only.rglob("*") if path.is_file()}
    cannot = "cannot be written"
    refused(run("identify", music, "--out", read_only / "answers.jsonl", again), cannot)
    refused(run("identify", music, "--out", read_only / "new.jsonl"), cannot)
    refused(run("identify", music, "--shards", read_only / "run", again), cannot)
    refused(run("identify", music, "--shards", read_only / "new"), cannot)
    refused(run("featurise", music, "--shards", read_only / "run", again), cannot)
    if again == "--overwrite":
        refused(run("featurise", music, "--out", read_only / "t.csv", again, "--size", "50"), cannot)
    refused(run("featurise", music, "--out", read_only / "new.csv", "--size", "50"), cannot)
    assert {path: path.read_bytes() for path in read_only.rglob("*") if path.is_file()} == before


# -- what keeps answers ------------------------------------------------------------------------------------------------


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
