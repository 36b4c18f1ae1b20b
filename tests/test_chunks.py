"""Chunks hold what the published table holds: checked by hand, against plain Python and against pretty_midi."""

from __future__ import annotations

import itertools
import statistics
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fugato.errors import FugatoError
from fugato.read import read, read_many
from fugato.represent.chunks import (
    CHUNK_FEATURES,
    FEATURES,
    NOTE_FEATURES,
    Chunks,
    Skipped,
    chunks,
    cut,
    estimate_tempo,
    recut,
    rows,
)
from fugato.score import Part, Score

from .music_files import midi_of, piece
from .music_styles import COMPOSERS, performed, styled


def note(made: Chunks, name: str, chunk: int = 0) -> list[float]:
    return made.notes[chunk, :, NOTE_FEATURES.index(name)].tolist()


def figure(made: Chunks, name: str, chunk: int = 0) -> float:
    return float(made.summary[chunk, CHUNK_FEATURES.index(name)])


def test_four_notes_by_hand() -> None:
    # at 120 to the minute a quarter note is half a second; the third note comes in while the second still sounds
    score = Score.from_notes(
        [0, 1, 2, 3], [1, 1.5, 1, 2], [60, 64, 64, 55], velocity=[80, 81, 100, 1], parts=[Part("", 40)]
    )
    made = chunks(score, 4)
    assert made.notes.shape == (1, 4, 9) and made.summary.shape == (1, 7) and made.notes.dtype == np.float32
    assert note(made, "pitch") == [60, 64, 64, 55]
    assert note(made, "duration") == [0.5, 0.75, 0.5, 1.0]
    assert note(made, "velocity") == [80, 81, 100, 1]
    assert note(made, "delta_time") == [0, 0.5, 0.5, 0.5]
    assert note(made, "interval") == [0, 4, 0, -9]
    assert note(made, "program") == [40] * 4
    assert note(made, "accented") == [0, 1, 1, 0]
    assert note(made, "start") == [0, 0.5, 1.0, 1.5]
    assert note(made, "end") == [0.5, 1.25, 1.5, 2.5]
    assert figure(made, "tempo") == pytest.approx(120)
    assert figure(made, "pitch_range") == 9
    assert figure(made, "note_density") == pytest.approx(4 / 2.5)
    assert figure(made, "repetition_rate") == pytest.approx(1 / 4)
    assert figure(made, "average_interval") == pytest.approx(-5 / 3)
    assert figure(made, "rhythmic_variety") == pytest.approx(statistics.pstdev([0.5, 0.75, 0.5, 1.0]))
    assert figure(made, "chord_density") == pytest.approx(1 / 4)


def in_plain_python(score: Score, size: int) -> list[tuple[list[list[float]], list[float]]]:
    """The description of the table, word for word, without NumPy."""
    out = []
    tempo = estimate_tempo(score.notes["onset_seconds"])
    for part in range(len(score.parts)):
        notes = [n for n in score.notes if n["part"] == part and not n["drum"]]
        notes.sort(key=lambda n: float(n["onset_seconds"]))
        for first in range(0, len(notes) - size + 1, size):
            table: list[list[float]] = []
            for n in notes[first : first + size]:
                start, duration, pitch = float(n["onset_seconds"]), float(n["duration_seconds"]), int(n["pitch"])
                delta, interval = (start - table[-1][7], pitch - table[-1][0]) if table else (0.0, 0)
                row = [pitch, duration, int(n["velocity"]), delta, interval, score.parts[part].program]
                table.append([*row, float(n["velocity"] > 80), start, start + duration])
            pairs = list(itertools.pairwise(table))
            figures = [
                tempo,
                max(r[0] for r in table) - min(r[0] for r in table),
                size / (table[-1][8] - table[0][7]),
                sum(a[0] == b[0] for a, b in pairs) / size,
                sum(b[0] - a[0] for a, b in pairs) / (size - 1),
                statistics.pstdev([r[1] for r in table]),
                sum(a[8] - b[7] > 1e-4 for a, b in pairs) / size,
            ]
            out.append((table, figures))
    return out


@pytest.mark.parametrize("size", [2, 7, 64, 200])
def test_as_in_plain_python(size: int) -> None:
    for score in [
        piece(1),
        performed(styled("Bach", 3, bars=40)),
        read(midi_of(styled("Joplin", 1, bars=40), tracks=3)),
    ]:
        made, expected = chunks(score, size), in_plain_python(score, size)
        assert len(made) == len(expected)
        for row, (notes, figures) in enumerate(expected):
            assert made.notes[row] == pytest.approx(np.array(notes), abs=1e-4)
            assert made.summary[row] == pytest.approx(np.array(figures), rel=1e-5, abs=1e-6)


def test_drums_and_short_parts_are_left_out_and_named() -> None:
    n = 25
    onset = np.concatenate([np.arange(n), np.arange(n), np.arange(4.0), np.arange(n)])
    part = np.repeat([0, 1, 2, 3], [n, n, 4, n])
    score = Score.from_notes(
        onset,
        np.ones(len(onset)),
        60 + onset % 12,
        part=part,
        drum=part == 1,
        parts=[Part("lead"), Part("kit", 0, True), Part("bell", 14), Part("bass", 32), Part("silent")],
    )
    made = chunks(score, 10)
    assert made.part.tolist() == [0, 0, 3, 3] and made.parts_used == 2
    assert made.skipped == (Skipped(1, n, "drums"), Skipped(2, 4, "too-short"))
    assert made.left_over == 10
    assert note(made, "program", 2) == [32] * 10
    assert chunks(score, 100).notes.shape == (0, 100, 9) and len(chunks(score, 100).skipped) == 4
    assert chunks(Score.from_notes([], [], []), 10).notes.shape == (0, 10, 9)


def test_a_part_is_cut_in_order_of_time_whatever_the_order_of_its_notes() -> None:
    score = piece(5)
    mixed = score.notes[np.random.default_rng(0).permutation(len(score))]
    mixed = mixed[np.argsort(mixed["pitch"], kind="stable")]  # as the house sorts notes that start together
    again = chunks(replace(score, notes=mixed), 32)
    assert np.array_equal(again.notes, chunks(score, 32).notes)


def test_bytes_bring_the_same_chunks() -> None:
    made = chunks(read(midi_of(piece(2), tracks=2)), 50)
    again = Chunks.from_bytes(made.to_bytes())
    assert np.array_equal(again.notes, made.notes) and np.array_equal(again.summary, made.summary)
    assert (again.part.tolist(), again.skipped, again.left_over) == (
        made.part.tolist(),
        made.skipped,
        made.left_over,
    )


def test_any_table_of_notes_can_be_cut_without_mixing_owners() -> None:
    rng = np.random.default_rng(3)
    table = np.zeros(100, [(name, "f8") for name in ("start", "duration", "pitch", "velocity", "program")])
    table["start"], table["duration"], table["pitch"] = rng.uniform(0, 50, 100), 0.5, rng.integers(40, 90, 100)
    owner = np.repeat([7, 3], [55, 45])
    notes, summary, whose, left_over = cut(table, size=20, owner=owner, tempo=np.where(owner == 7, 90.0, 60.0))
    assert whose.tolist() == [3, 3, 7, 7] and left_over == 5 + 15
    assert summary[:, 0].tolist() == [60, 60, 90, 90]
    assert (np.diff(notes[:, :, NOTE_FEATURES.index("start")]) >= 0).all()
    together, _, one, _ = cut({name: table[name] for name in table.dtype.names or ()}, size=20)
    assert len(together) == 5 and one.tolist() == [0] * 5


def test_published_windows_mix_the_pieces_of_a_composer() -> None:
    made = [chunks(styled("Chopin", seed, bars=40), 50) for seed in (1, 2)]
    table = np.concatenate([m.rows() for m in made])
    assert table.shape == (50 * sum(map(len, made)), 16)
    assert np.array_equal(table[:50, :9], made[0].notes[0]) and (table[:50, 9:] == made[0].summary[0]).all()
    windows = recut(table, 50)
    start = windows[:, :, FEATURES.index("start")]
    assert windows.shape == (len(table) // 50, 50, 16) and (np.diff(start.ravel()) >= 0).all()
    ours = {row.tobytes() for row in rows(made[0].notes, made[0].summary)}
    share = np.mean([[row.tobytes() in ours for row in window] for window in windows[:3]])
    assert 0.2 < share < 0.8


def test_tempo_is_as_pretty_midi_estimates_it() -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    scores = [performed(styled(composer, 4), seed, 0.05) for composer in COMPOSERS for seed in range(4)]
    rng = np.random.default_rng(0)
    scores += [Score.from_notes(np.cumsum(rng.gamma(k, 0.4, 400)), np.ones(400), np.full(400, 60)) for k in (0.5, 1, 3)]
    for score in scores:
        # onsets that differ in the fifteenth digit can fall into another cluster, so both get the same
        onsets = read(midi_of(score, qpm=93)).notes["onset_seconds"]
        theirs = types.SimpleNamespace(get_onsets=lambda onsets=onsets: onsets)
        expected = pretty_midi.PrettyMIDI.estimate_tempi(theirs)[0][0]
        assert estimate_tempo(onsets) == pytest.approx(expected, rel=1e-9)
    for few in ([], [1.0], [0.0, 5.0]):
        assert estimate_tempo(np.array(few)) == 120


def test_a_chunk_has_two_notes_at_least() -> None:
    for size in (1, 0, -5):
        with pytest.raises(FugatoError, match="at least 2") as refused:
            chunks(piece(1), size)
        assert refused.value.kind == "bad-option"


def test_workers_cut_files_and_say_which_are_too_short(tmp_path: Path) -> None:
    (tmp_path / "long.mid").write_bytes(midi_of(piece(1, notes=300)))
    (tmp_path / "short.mid").write_bytes(midi_of(piece(1, notes=30)))
    then = "fugato.represent.chunks:chunks_bytes"
    long, short = read_many([tmp_path / "long.mid", tmp_path / "short.mid"], then=then)
    assert isinstance(long.result, bytes)
    assert np.array_equal(Chunks.from_bytes(long.result).notes, chunks(read(tmp_path / "long.mid")).notes)
    assert isinstance(short.result, FugatoError) and short.result.kind == "too-short" and "45" in short.result.message


@pytest.mark.corpora
def test_real_files_as_pretty_midi_sees_them(corpora: Path) -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    files = sorted((corpora / "classics").rglob("*.mid"))[::400]
    assert files
    for file in files:
        try:
            theirs = pretty_midi.PrettyMIDI(str(file))
        except Exception:  # noqa: BLE001 (what pretty_midi cannot read says nothing here)
            continue
        expected = theirs.estimate_tempo()
        assert estimate_tempo(read(file).notes["onset_seconds"]) == pytest.approx(expected, rel=0.02), file.name
