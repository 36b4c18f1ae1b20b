"""The feature table has a row for whatever it says, comes whole or not at all, and tells what became of every file."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.corpus import load_corpus
from fugato.errors import FugatoError
from fugato.read import read
from fugato.represent.chunks import CHUNK_FEATURES, FEATURES, chunks
from fugato.study.featurise import CHUNK_COLUMNS, PIECE_COLUMNS, featurise, read_chunks

from .music_files import midi_of, piece
from .music_styles import write_collection

pandas = pytest.importorskip("pandas", reason="tables need the extra train")
pytest.importorskip("pyarrow", reason="tables need the extra train")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pieces of Bach and of Chopin, one of Haydn's that is short, one that is damaged, and a text."""
    root = write_collection(tmp_path_factory.mktemp("music"), range(3), ("Bach", "Chopin"))
    (root / "Bach" / "broken.mid").write_bytes(b"MThd\0\0\0\6nonsense")
    (root / "Bach" / "notes.txt").write_text("not music")
    (root / "Haydn").mkdir()
    (root / "Haydn" / "short.mid").write_bytes(midi_of(piece(1, notes=20)))
    return root


def rows_of(path: Path) -> Any:
    return pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_row_a_chunk(folder: Path, tmp_path: Path, suffix: str) -> None:
    made = featurise(folder, tmp_path / f"t{suffix}", size=100, jobs=1)
    table = rows_of(made.path)
    assert tuple(table.columns) == made.columns == ("composer", "piece", "group", "part", "chunk", *CHUNK_COLUMNS)
    one = chunks(read(folder / "Chopin" / "piece 1.mid"), 100)
    ours = table[table["piece"] == "Chopin/piece 1.mid"]
    assert ours["chunk"].tolist() == list(range(len(one))) and set(ours["composer"]) == {"Chopin"}
    assert ours[list(CHUNK_FEATURES)].to_numpy() == pytest.approx(one.summary, rel=1e-4, abs=1e-5)
    assert ours["pitch_mean"].to_numpy() == pytest.approx(one.notes[:, :, 0].mean(axis=1), rel=1e-5)
    assert ours["interval_std"].to_numpy() == pytest.approx(one.notes[:, 1:, 4].std(axis=1), rel=1e-4)
    assert len(table) == made.rows == sum(c.chunks for c in made.composers.values())


def test_a_row_a_note_as_published(folder: Path, tmp_path: Path) -> None:
    made = featurise(folder, tmp_path / "t.parquet", level="note", size=100, jobs=1)
    table = rows_of(made.path)
    one = chunks(read(folder / "Bach" / "piece 0.mid"), 100)
    ours = table[table["piece"] == "Bach/piece 0.mid"]
    assert ours[list(FEATURES)].to_numpy().tolist() == one.rows().tolist()
    assert len(table) == 100 * sum(c.chunks for c in made.composers.values())


def test_a_row_a_piece(folder: Path, tmp_path: Path) -> None:
    table = rows_of(featurise(folder, tmp_path / "t.csv", level="piece", size=100, jobs=1).path)
    by_chunk = rows_of(featurise(folder, tmp_path / "c.csv", size=100, jobs=1).path)
    assert table["piece"].tolist() == sorted(set(by_chunk["piece"])) and list(table.columns[5:]) == list(PIECE_COLUMNS)
    expected = by_chunk.groupby("piece")["pitch_range"].mean()
    assert table.set_index("piece")["pitch_range"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5)


def test_every_file_is_accounted_for(folder: Path, tmp_path: Path) -> None:
    made = featurise(folder, tmp_path / "t.parquet", size=100, jobs=2)
    found = json.loads(made.counts_path.read_text(encoding="utf-8"))
    assert made.counts_path.name == "t.parquet.json" and found == made.to_dict()
    assert {name: (c["used"], sum(c["skipped"].values())) for name, c in found["composers"].items()} == {
        "Bach": (3, 1),
        "Chopin": (3, 0),
        "Haydn": (0, 1),
    }
    assert [(s["piece"], s["kind"]) for s in found["skipped"]] == [
        ("Bach/broken.mid", "corrupt"),
        ("Haydn/short.mid", "too-short"),
    ]
    assert [n["path"] for n in found["not_taken"]] == ["Bach/notes.txt"]
    assert found["files"] == {"used": 6, "skipped": 2, "not_taken": 1}


def test_a_zip_and_an_index_give_the_same_rows(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "music.zip", "w") as archive:
        for file in sorted(folder.rglob("*.mid")):
            archive.write(file, file.relative_to(folder).as_posix())
    lines = [f"{f},{f.parent.name}" for f in sorted(folder.rglob("*.mid"))]
    (tmp_path / "index.csv").write_text("path,composer\n" + "\n".join(lines) + f"\n{tmp_path / 'gone.mid'},Bach\n")
    first = rows_of(featurise(folder, tmp_path / "a.parquet", size=100, jobs=1).path)
    for source in ("music.zip", "index.csv"):
        table = rows_of(featurise(tmp_path / source, tmp_path / "b.parquet", size=100, jobs=1).path)
        numbers = list(CHUNK_COLUMNS)
        assert np.array_equal(table[numbers].to_numpy(), first[numbers].to_numpy())


def test_a_file_that_has_gone_is_skipped_and_the_others_keep_their_places(folder: Path, tmp_path: Path) -> None:
    files = [folder / "Bach" / "piece 0.mid", tmp_path / "gone.mid", folder / "Chopin" / "piece 1.mid"]
    index = tmp_path / "index.csv"
    copy = tmp_path / "gone.mid"
    copy.write_bytes(files[0].read_bytes())
    index.write_text("path,composer\n" + "\n".join(f"{f},{f.parent.name}" for f in files))
    corpus = load_corpus(index)
    copy.unlink()
    found = {Path(r.piece.path).name: r.result for r in read_chunks(corpus, size=100)}
    gone = found.pop("gone.mid")
    assert isinstance(gone, FugatoError) and gone.kind == "bad-data"
    for name, result in found.items():
        assert isinstance(result, tuple)
        file = next(f for f in files if f.name == name)
        assert np.array_equal(result[0].notes, chunks(read(file), 100).notes)


def test_big_tables_are_written_in_groups(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    whole = rows_of(featurise(folder, tmp_path / "a.parquet", level="note", size=50, jobs=1).path)
    monkeypatch.setattr("fugato.study.featurise.ROWS", 120)
    made = featurise(folder, tmp_path / "b.parquet", level="note", size=50, jobs=1)
    assert parquet.ParquetFile(made.path).metadata.num_row_groups > 5
    assert rows_of(made.path).equals(whole)


@pytest.mark.parametrize(
    ("out", "kind"),
    [("t.xlsx", "bad-output"), ("t", "bad-output"), ("no/such/t.csv", "bad-output"), (".", "bad-output")],
)
def test_a_table_that_cannot_be_written_is_refused_before_anything_is_read(
    folder: Path, tmp_path: Path, out: str, kind: str
) -> None:
    with pytest.raises(FugatoError) as refused:
        featurise(folder, tmp_path / out)
    assert refused.value.kind == kind


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_leave_to_write(folder: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FugatoError, match="cannot be written"):
        featurise(folder, tmp_path / "t.csv")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
def test_a_full_disk_leaves_the_old_table_alone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "t.csv"
    out.write_text("the old one")
    opened = Path.open

    def full(path: Path, *arguments: Any, **options: Any) -> Any:
        return opened(Path("/dev/full") if path.name.startswith(".t.csv") else path, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(FugatoError, match="No space left") as refused:
        featurise(folder, out, level="note", size=50, jobs=1)
    assert refused.value.kind == "bad-output" and out.read_text() == "the old one"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="file names are Unicode elsewhere")
def test_names_that_are_no_unicode_text(tmp_path: Path) -> None:
    from fugato.study.explore import explore

    (tmp_path / "music" / "Bach").mkdir(parents=True)
    for name in (b"caf\xe9.mid", b"\xff\xfe.mid"):
        Path(os.fsdecode(os.fsencode(tmp_path / "music" / "Bach") + b"/" + name)).write_bytes(midi_of(piece(3)))
    made = featurise(tmp_path / "music", tmp_path / "t.parquet", size=50, jobs=1)
    assert rows_of(made.path)["piece"].unique().tolist() == ["Bach/caf?.mid", "Bach/??.mid"]
    assert json.loads(made.counts_path.read_bytes())["rows"] == made.rows
    drawn = explore(tmp_path / "music", tmp_path / "p", size=50, jobs=1)
    assert drawn.page.read_text(encoding="utf-8") and json.loads((tmp_path / "p" / "explore.json").read_bytes())


def test_a_collection_without_a_chunk_writes_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FugatoError, match="None of its 8 files") as refused:
        featurise(folder, tmp_path / "t.csv", size=5000, jobs=1)
    assert refused.value.kind == "bad-data" and "7 too-short" in refused.value.message
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(FugatoError) as empty:
        featurise(tmp_path / "empty", tmp_path / "t.csv")
    assert empty.value.kind == "bad-data"


@pytest.mark.parametrize("options", [{"level": "bar"}, {"size": 1}])
def test_options_that_make_no_sense_are_refused(folder: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(FugatoError) as refused:
        featurise(folder, tmp_path / "t.csv", **options)
    assert refused.value.kind == "bad-option" and list(tmp_path.iterdir()) == []


def test_the_command_tells_what_it_used(folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(app, ["featurise", str(folder), "--out", str(tmp_path / "t.csv"), "--size", "100", "--json"])
    assert result.exit_code == 0, result.stderr
    assert "6 files, 2 skipped, 1 other entries passed over" in result.stderr and "1 corrupt" in result.stderr
    assert json.loads(result.stdout)["files"]["used"] == 6
    whole = (tmp_path / "t.csv").read_bytes()
    again = runner.invoke(app, ["featurise", str(folder), "--out", str(tmp_path / "t.csv"), "--size", "50"])
    assert again.exit_code == 2 and "--overwrite" in again.stderr and (tmp_path / "t.csv").read_bytes() == whole
    command = ["featurise", str(folder), "--out", str(tmp_path / "t.csv"), "--size", "50", "--overwrite"]
    assert runner.invoke(app, command).exit_code == 0 and (tmp_path / "t.csv").read_bytes() != whole
    for arguments, said in (
        ([str(folder), "--out", str(tmp_path / "t.doc")], ".parquet or .csv"),
        ([str(tmp_path / "nowhere"), "--out", str(tmp_path / "u.csv")], "no folder"),
        ([str(folder), "--out", str(tmp_path / "u.csv"), "--level", "bar"], "no level 'bar'"),
    ):
        result = runner.invoke(app, ["featurise", *arguments])
        assert result.exit_code == 2 and said in result.stderr and not (tmp_path / "u.csv").exists()


@pytest.mark.corpora
@pytest.mark.slow
def test_a_whole_collection_in_bounded_time(corpora: Path, tmp_path: Path) -> None:
    made = featurise(corpora / "classics" / "files", tmp_path / "t.parquet", jobs=2)
    assert made.used > 2500 and made.seconds < 240
