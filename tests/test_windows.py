"""Windows of a piece: where they begin, what they hold, and how a whole collection of them is kept."""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fugato.corpus import load_corpus
from fugato.errors import FugatoError
from fugato.represent.chunks import FEATURES
from fugato.represent.windows import KINDS, Table, gather, settings, table, table_bytes
from fugato.score import Score

from .music_files import midi_of
from .music_styles import styled, write_collection

EIGHTHS = 0.25  # seconds of an eighth note at 120 quarters a minute


def eighths(n: int, pitch: int = 60) -> Score:
    """A run of eighth notes that go up and down an octave."""
    return Score.from_notes(0.5 * np.arange(n), np.full(n, 0.5), pitch + np.abs(np.arange(n) % 24 - 12))


# -- one piece -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_windows_have_the_shape_and_type_that_their_kind_declares(kind: str) -> None:
    about = KINDS[kind]
    found = table(styled("Chopin", 1), kind)
    assert found.rows.dtype == about.dtype and found.rows.shape[1] == len(about.columns)
    assert len(found.starts) == len(found.begin) == len(found.end) > 0
    assert found.starts[0] == 0 and found.starts[-1] + about.size <= len(found.rows)
    windows = gather(found.rows, found.starts, about.size)
    assert windows.shape == (len(found.starts), about.size, len(about.columns))
    assert (windows[-1] == found.rows[found.starts[-1] :][: about.size]).all()
    assert (found.begin < found.end).all() and (found.begin >= 0).all()
    assert settings(kind, hop=3) == {"kind": kind, "size": about.size, "columns": len(about.columns), "hop": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_passes_from_process_to_process_as_bytes(kind: str) -> None:
    found = table(styled("Bach", 1), kind)
    again = Table.from_bytes(table_bytes(styled("Bach", 1), name="x.mid", sha256="", kind=kind))
    for name in ("rows", "starts", "begin", "end"):
        assert (getattr(found, name) == getattr(again, name)).all()


def test_chunks_of_notes_follow_one_another_without_a_gap() -> None:
    found = table(eighths(650), "note-chunks")
    assert found.starts.tolist() == [0, 200, 400], "fifty notes are left over"
    assert found.begin == pytest.approx([0, 50, 100]) and found.end == pytest.approx([50, 100, 150], abs=0.02)
    pitch = found.rows[:, FEATURES.index("pitch")]
    assert pitch[:13].tolist() == [72 - k for k in range(13)]


def test_rows_of_notes_are_scaled_and_the_first_ones_are_kept() -> None:
    found = table(eighths(1250), "note-rows", limit=10)
    assert found.starts.tolist() == list(range(0, 1000, 100)), "of twelve runs the first ten"
    assert found.begin == pytest.approx(np.arange(10) * 100 * EIGHTHS)
    assert found.end == pytest.approx((np.arange(10) * 100 + 99) * EIGHTHS), "where the last note begins"
    assert found.rows[0] == pytest.approx([72 / 127, 64 / 127, 0.25 / 4], abs=0.2) and found.rows.max() <= 1
    assert found.rows[0, 0] == pytest.approx(72 / 127) and found.rows[0, 2] == pytest.approx(EIGHTHS / 4)
    overlapping = table(eighths(1250), "note-rows", hop=10)
    assert overlapping.starts[:3].tolist() == [0, 10, 20] and overlapping.starts[-1] == 1150
    short = table(eighths(30), "note-rows")
    assert short.rows.shape == (100, 3) and (short.rows[30:] == 0).all() and short.end == pytest.approx([29 * EIGHTHS])


def test_a_piano_roll_is_cut_every_half_second_and_padded_with_silence() -> None:
    found = table(eighths(100), "pianoroll")  # 25 seconds
    assert found.begin == pytest.approx(np.arange(len(found.begin)) / 2)
    assert found.end - found.begin == pytest.approx(np.full(len(found.begin), 10.0))
    assert 24 < found.begin[-1] < 25 and (found.rows[510:] == 0).all()
    assert set(np.flatnonzero(found.rows.any(axis=0))) == set(range(60, 73))
    served = table(eighths(100), "pianoroll", hop=100)
    assert served.begin.tolist() == [0, 5, 10, 15, 20]
    assert (gather(served.rows, served.starts, 200)[1] == gather(found.rows, found.starts, 200)[10]).all()


def test_spectrograms_stand_beside_one_another_with_time_down_the_rows() -> None:
    low, high = (table(eighths(90, pitch), "spectrogram") for pitch in (36, 84))
    assert low.starts.tolist() == [256 * k for k in range(len(low.starts))] and len(low.rows) == 256 * len(low.starts)
    assert low.end - low.begin == pytest.approx(np.full(len(low.begin), 10.0))

    def centre(found: Table) -> float:
        loud = found.rows.astype(float) ** 4
        return float((loud.sum(axis=0) * np.arange(256)).sum() / loud.sum())

    assert centre(low) < centre(high), "a column is a frequency"


@pytest.mark.parametrize("kind", ["note-chunks", "pianoroll", "spectrogram"])
def test_a_limit_spreads_windows_over_the_piece(kind: str) -> None:
    score = eighths(1300)
    full, some = table(score, kind), table(score, kind, limit=3)
    assert len(full.starts) > 3 == len(some.starts)
    assert some.begin[0] == pytest.approx(full.begin[0], abs=0.6) and some.begin[-1] > 0.6 * full.begin[-1]
    assert set(np.round(np.diff(some.begin)).astype(int)) and (np.diff(some.begin) > 0).all()
    assert len(table(score, kind, limit=10**6).starts) == len(full.starts)


def test_an_excerpt_is_played_again_until_it_fills_a_chunk_where_asked() -> None:
    excerpt = eighths(50)
    with pytest.raises(FugatoError, match="longest part has 50 notes; a chunk has 200") as caught:
        table(excerpt, "note-chunks")
    assert caught.value.kind == "too-short"
    filled = table(excerpt, "note-chunks", fill=True)
    pitch = filled.rows[:, FEATURES.index("pitch")]
    assert len(filled.starts) == 1 and (pitch[:50] == pitch[150:]).all()
    whole = eighths(250)
    assert (table(whole, "note-chunks", fill=True).rows == table(whole, "note-chunks").rows).all()


@pytest.mark.parametrize(
    ("score", "kind", "expected"),
    [
        (Score.from_notes([], [], []), "pianoroll", "empty"),
        (eighths(19), "note-rows", "too-short"),
        (eighths(19), "note-chunks", "too-short"),
        (eighths(300), "wavelets", "bad-option"),
    ],
)
def test_what_gives_no_window_says_why(score: Score, kind: str, expected: str) -> None:
    with pytest.raises(FugatoError) as caught:
        table(score, kind, fill=True)
    assert caught.value.kind == expected and len(caught.value.message) > 15


def test_windows_can_take_rows_in_another_order() -> None:
    rows = np.arange(12).reshape(6, 2)
    order = np.array([5, 4, 3, 2, 1, 0])
    assert gather(rows, np.array([0, 2]), 3)[1].tolist() == rows[2:5].tolist()
    assert gather(rows, np.array([0, 2]), 3, order)[1].tolist() == rows[[3, 2, 1]].tolist()


# -- a collection --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two composers with three pieces each, and a file that is no music."""
    root = write_collection(tmp_path / "music", range(3), ("Bach", "Joplin"))
    (root / "Bach" / "letter.mid").write_bytes(b"Dear Sir")
    (root / "Joplin" / "waltz.mid").write_bytes(midi_of(eighths(50)))
    return root


@pytest.fixture
def prepare() -> Any:
    pytest.importorskip("torch", reason="the room of training needs the extra train")
    from fugato.train.store import prepare

    return prepare


def test_windows_of_a_collection_are_those_of_its_pieces(folder: Path, tmp_path: Path, prepare: Any) -> None:
    told: list[tuple[int, int]] = []
    windows = prepare(
        load_corpus(folder), tmp_path / "windows", "note-chunks", jobs=1, progress=lambda *at: told.append(at)
    )
    assert told[-1] == (8, 8) and len(windows.pieces) == 6
    assert isinstance(windows.rows, np.memmap) and not windows.rows.flags.writeable
    for number, piece in enumerate(windows.pieces):
        import fugato

        alone = table(fugato.read(piece.path), "note-chunks")
        taken = windows.take(windows.of_pieces(np.array([number])))
        assert (taken == gather(alone.rows, alone.starts, 200)).all()
    failed = {Path(str(error.input)).name: error.kind for error in windows.failed}
    assert failed == {"letter.mid": "not-music", "waltz.mid": "too-short"}


def test_some_pieces_are_chosen_without_copying_their_rows(folder: Path, tmp_path: Path, prepare: Any) -> None:
    windows = prepare(load_corpus(folder), tmp_path / "windows", "note-rows", jobs=1)
    some = windows.select(np.array([4, 1]))
    assert some.rows is windows.rows and [p.id for p in some.pieces] == [windows.pieces[i].id for i in (4, 1)]
    for new, old in ((0, 4), (1, 1)):
        ours, theirs = some.of_pieces(np.array([new])), windows.of_pieces(np.array([old]))
        assert len(ours) and (some.take(ours) == windows.take(theirs)).all()


def test_a_collection_is_cut_once_and_again_when_a_file_of_it_changes(
    folder: Path, tmp_path: Path, prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fugato.train import store

    cut: list[int] = []
    read_many = store.read_many

    def counted(*args: Any, **options: Any) -> Any:
        cut.append(1)
        return read_many(*args, **options)

    monkeypatch.setattr(store, "read_many", counted)
    target = tmp_path / "windows"

    def again(**options: Any) -> tuple[int, Any]:
        cut.clear()
        found = prepare(load_corpus(folder), target, "note-rows", jobs=1, **options)
        return len(cut), found

    times, first = again()
    assert times == 1
    times, found = again()
    assert times == 0 and (found.rows == first.rows).all() and (found.starts == first.starts).all()
    assert [e.kind for e in found.failed] == [e.kind for e in first.failed]
    assert again(hop=50)[0] == 1, "other windows"
    assert again(hop=50)[0] == 0
    path = folder / "Bach" / "piece 1.mid"
    path.write_bytes(midi_of(eighths(120)))
    os.utime(path, ns=(10**18, 10**18))
    times, found = again(hop=50)
    assert times == 1 and len(found) != len(first)
    path.unlink()
    times, found = again(hop=50)
    assert times == 1 and len(found.pieces) == 6
    (target / "windows.json").write_text("{", encoding="utf-8")
    assert again(hop=50)[0] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["music", "windows"], "nothing is left lying about"


def test_a_cutting_that_was_stopped_leaves_no_windows_behind(
    folder: Path, tmp_path: Path, prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(load_corpus(folder), tmp_path / "windows", "note-rows", jobs=1, progress=stop)
    assert not (tmp_path / "windows").exists()
    assert len(prepare(load_corpus(folder), tmp_path / "windows", "note-rows", jobs=1).pieces) == 7


def test_archives_are_cut_as_folders_are(folder: Path, tmp_path: Path, prepare: Any) -> None:
    with zipfile.ZipFile(tmp_path / "music.zip", "w") as archive:
        for path in sorted(folder.rglob("*.mid")):
            archive.write(path, path.relative_to(folder).as_posix())
    packed = prepare(load_corpus(tmp_path / "music.zip"), tmp_path / "a", "note-rows", jobs=1)
    plain = prepare(load_corpus(folder), tmp_path / "b", "note-rows", jobs=1)
    assert (packed.rows == plain.rows).all() and len(packed.failed) == 1


def test_a_collection_without_any_music_is_refused_and_a_full_disk_named(
    tmp_path: Path, prepare: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(3):
        path = tmp_path / "music" / "Bach" / f"{i}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"Dear Sir")
    with caplog.at_level(logging.WARNING), pytest.raises(FugatoError, match="None of its 3 files") as caught:
        prepare(load_corpus(tmp_path / "music"), tmp_path / "windows", "note-rows", jobs=1)
    assert caught.value.kind == "bad-data"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FugatoError, match="Cannot keep the windows") as caught:
        prepare(load_corpus(tmp_path / "music"), tmp_path / "file" / "windows", "note-rows", jobs=1)
    assert caught.value.kind == "bad-output"
