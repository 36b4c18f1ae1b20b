"""A Score written as MIDI and read again is the same Score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fugato
from fugato.errors import FugatoError
from fugato.score import Key, Meter, Part, Score, Tempo
from fugato.write.midi import midi_bytes, resolution

CORPUS = ("bach/bwv66.6.mxl", "mozart/k155/movement1.mxl", "chopin/mazurka06-2.krn", "joplin/maple_leaf_rag.mxl")


def corpus_file(name: str) -> Path:
    import importlib.util

    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "corpus" / name


def rows(score: Score) -> list[tuple[Any, ...]]:
    """The notes, times rounded to what MIDI holds."""
    n = score.notes
    return sorted(
        zip(
            np.round(n["onset"], 4).tolist(),
            np.round(n["duration"], 4).tolist(),
            n["pitch"].tolist(),
            n["velocity"].tolist(),
            n["part"].tolist(),
            n["drum"].tolist(),
            strict=True,
        )
    )


def again(score: Score) -> Score:
    return fugato.read(midi_bytes(score))


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """Pieces of up to five parts on the grid of notation; in a part, a key is let go before it is struck again."""
    n_parts = draw(st.integers(1, 5))
    columns: list[tuple[float, float, int, int, int]] = []
    for part in range(n_parts):
        for pitch in draw(st.lists(st.integers(0, 127), min_size=1, max_size=4, unique=True)):
            now = 0.0
            for _ in range(draw(st.integers(1, 5))):
                now += draw(st.sampled_from([0, 0, 1, 3, 4, 8, 12, 24, 30])) / 12
                length = draw(st.sampled_from([1, 2, 3, 4, 6, 8, 12, 18, 24, 60])) / 12
                columns.append((now, length, pitch, draw(st.integers(1, 127)), part))
                now += length
    onset, duration, pitch_, velocity, part_ = zip(*columns, strict=True)
    drums = draw(st.lists(st.booleans(), min_size=n_parts, max_size=n_parts))
    names = st.text(st.characters(categories=["L", "N"]), max_size=8)
    parts = [Part(draw(names), draw(st.integers(0, 127)), drums[i]) for i in range(n_parts)]
    qpm = draw(st.lists(st.floats(10, 400), min_size=1, max_size=3))
    return Score.from_notes(
        onset,
        duration,
        pitch_,
        velocity=velocity,
        part=part_,
        drum=[drums[p] for p in part_],
        parts=parts,
        tempos=[Tempo(float(4 * i), q) for i, q in enumerate(qpm)],
        meters=[Meter(0.0, *draw(st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4), (2, 2), (7, 8)])))],
        keys=[Key(0.0, draw(st.integers(-7, 7)), draw(st.sampled_from(["major", "minor"])))],
    )


@settings(max_examples=60, deadline=None)
@given(scores())
def test_what_is_written_is_what_is_read(score: Score) -> None:
    found = again(score)
    assert rows(found) == rows(score)
    assert found.parts == score.parts and found.keys == score.keys and found.meters == score.meters
    kept = [t for t in score.tempos if t.onset <= score.end]
    assert [t.onset for t in found.tempos] == [t.onset for t in kept]
    assert np.allclose([t.qpm for t in found.tempos], [t.qpm for t in kept], rtol=1e-4)
    assert np.allclose(np.sort(found.notes["onset_seconds"]), np.sort(score.notes["onset_seconds"]), atol=5e-3)
    assert np.allclose(found.bars, score.bars)


@pytest.mark.parametrize("name", CORPUS)
def test_a_printed_score_keeps_its_notes_and_bars(name: str) -> None:
    score = fugato.read(corpus_file(name))
    found = again(score)
    assert rows(found) == rows(score)
    assert np.allclose(found.bars, score.bars, atol=1e-3), "pickups and shortened bars too"
    assert [p.program for p in found.parts] == [p.program for p in score.parts] and found.title == score.title


def test_a_performance_keeps_its_ticks_and_is_written_the_same_twice(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    onset = np.cumsum(rng.integers(1, 400, 200)) / 384
    duration, pitch = rng.integers(1, 800, 200) / 384, np.arange(200) % 80 + 20
    own = Score.from_notes(onset, duration, pitch, ticks_per_quarter=384, beats="default")
    assert resolution(own) == 384
    first = fugato.read(fugato.write(own, tmp_path / "one.mid"))
    assert first.ticks_per_quarter == 384 and rows(first) == rows(own)
    assert midi_bytes(first) == midi_bytes(own) == (tmp_path / "one.mid").read_bytes()


def test_a_pickup_and_a_shortened_bar_stay_where_they_are() -> None:
    bars = np.array([0.0, 1.0, 5.0, 8.0, 12.0])
    score = Score.from_notes([0.0, 1.0, 5.0, 8.0, 12.0], [1.0, 4.0, 3.0, 4.0, 4.0], [60, 62, 64, 65, 67], bars=bars)
    found = again(score)
    assert np.allclose(found.bars, bars)
    assert [m[1:] for m in found.meters] == [(1, 4), (4, 4), (3, 4), (4, 4)]


def test_more_parts_than_channels_and_a_part_of_both_kinds() -> None:
    many = Score.from_notes(
        np.arange(40.0), np.ones(40), np.full(40, 60), part=np.arange(40), parts=[Part(str(i), i) for i in range(40)]
    )
    found = again(many)
    assert found.parts == many.parts and rows(found) == rows(many)
    both = Score.from_notes([0, 1], [1, 1], [60, 36], drum=[False, True], parts=[Part("kit", 3)])
    assert [p.drum for p in again(both).parts] == [False, True]


def test_equal_keys_at_one_time_and_touching_notes_stay_apart() -> None:
    score = Score.from_notes([0, 0, 1, 1], [1, 2, 1, 0.5], [60, 60, 64, 64], velocity=[10, 20, 30, 40])
    assert [r[:3] for r in rows(again(score))] == [(0.0, 1.0, 60), (0.0, 2.0, 60), (1.0, 0.5, 64), (1.0, 1.0, 64)]
    touching = Score.from_notes(np.arange(8) / 4, np.full(8, 0.25), np.full(8, 60))
    assert rows(again(touching)) == rows(touching)


@dataclass
class Made:
    score: Score


def test_anything_with_a_score_is_written_and_the_rest_is_refused(tmp_path: Path) -> None:
    score = Score.from_notes([0, 1], [1, 1], [60, 64])
    assert fugato.write(Made(score), tmp_path / "a.midi") == tmp_path / "a.midi"
    assert rows(fugato.read(tmp_path / "a.midi")) == rows(score)
    for thing, out, kind in (
        (Score.from_notes([], [], []), "a.mid", "empty"),
        ("nocturne.mid", "a.mid", "bad-option"),
        (score, "a.xyz", "bad-output"),
        (score, "nowhere/a.mid", "bad-output"),
    ):
        with pytest.raises(FugatoError) as caught:
            fugato.write(thing, tmp_path / out)
        assert caught.value.kind == kind


def test_other_programs_read_it_too() -> None:
    mido = pytest.importorskip("mido")
    import io

    score = fugato.read(corpus_file(CORPUS[1]))
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(score)))
    assert file.type == 1 and len(file.tracks) == 5
    assert sum(m.type == "note_on" and m.velocity > 0 for t in file.tracks for m in t) == len(score)
    assert abs(file.length - score.seconds) < 0.5
