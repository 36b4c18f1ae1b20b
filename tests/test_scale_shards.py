"""Parquet shards with a manifest: each input once, whatever ends the run and wherever it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs the extra scale")
from pyarrow import parquet
from typer.testing import CliRunner

from fugato.cli.app import app
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


def test_a_shard_of_many_groups_has_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 1)
    fill(tmp_path / "run", range(20), piece=4)
    (whole,) = (tmp_path / "run" / "manifest").iterdir()
    assert _names(whole) == [f"{n:03}.mid" for n in range(20)] and parquet.ParquetFile(whole).num_row_groups == 5
    assert rows(tmp_path / "run") == [f"{n:03}.mid" for n in range(20) if n % 7 != 3]


def test_the_manifest_is_read_while_pieces_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = Shards(tmp_path / "run", ASKED, piece=2)
    for number in range(6):
        shards.write(answer(number))
    real, left = parquet.read_table, [1]

    def vanishing(path: Path, *arguments: Any, **options: Any) -> Any:
        if left and path.name == "00000-000001.parquet":
            left.clear()
            monkeypatch.setattr(parquet, "read_table", real)
            shards._close_shard()
            raise FileNotFoundError(path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(parquet, "read_table", vanishing)
    assert [row["input"] for row in read_manifest(tmp_path / "run")] == [f"{n:03}.mid" for n in range(6)]
    kept = tmp_path / "run" / "manifest" / "00000.parquet"
    (kept.parent / "00000-000000.parquet").write_bytes(kept.read_bytes())  # a kill before it could be removed
    assert len(list(read_manifest(tmp_path / "run"))) == 6 and not left
    shards._lock.close()


def test_names_that_are_no_unicode_are_known_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mid")
    with Shards(tmp_path / "run", ASKED) as shards:
        shards.add(Entry(name, "", ("corrupt", "It is damaged.")))
    with Shards(tmp_path / "run", ASKED, resume=True) as shards:
        assert shards.left([name, "café.mid"]) == ["café.mid"]


def test_a_run_is_replaced_where_that_is_asked_for_and_not_before_there_is_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fill(folder, range(30), piece=4)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = {**ASKED, "model": "mine"}
    with pytest.raises(RuntimeError), Shards(folder, other, overwrite=True):
        raise RuntimeError("before the first answer")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with Shards(folder, other, overwrite=True) as shards:
        assert shards.left(["000.mid"]) == ["000.mid"]
        shards.write(answer(0))
    assert [row["input"] for row in read_manifest(folder)] == ["000.mid"] == rows(folder)
    assert (folder / "failed.jsonl").read_bytes() == b""
    fill(tmp_path / "fresh", range(3), overwrite=True)
    assert len(list(read_manifest(tmp_path / "fresh"))) == 3
    with Shards(folder, other, resume=True) as shards:
        assert shards.done == {"000.mid"}


@pytest.mark.parametrize("where", [[], ["--scheduler", "tcp://127.0.0.1:9"]], ids=["here", "cluster"])
@pytest.mark.parametrize("command", ["identify", "genre", "featurise"])
def test_no_command_replaces_what_is_there_unasked(command: str, where: list[str], tmp_path: Path) -> None:
    """It is refused before a scheduler is looked for."""
    (tmp_path / "data" / "Bach").mkdir(parents=True)
    for name in ("x.mid", "x.wav"):
        (tmp_path / "data" / "Bach" / name).write_bytes(b"x")
    out = tmp_path / "t.csv"
    out.write_text("precious\n")
    fill(tmp_path / "run", range(3))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for place in (["--out", str(out)], ["--shards", str(tmp_path / "run")]):
        done = CliRunner().invoke(app, [command, str(tmp_path / "data"), *place, *where])
        assert done.exit_code == 2 and "--overwrite" in done.stderr and done.stdout == ""
        both = CliRunner().invoke(app, [command, str(tmp_path / "data"), *place, *where, "--overwrite", "--resume"])
        assert both.exit_code == 2 and "choose one" in both.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


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
