"""Tokens: what lies on the grid comes back as it was, the rest is rounded, and the vocabulary never changes with the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fugato
from fugato.errors import FugatoError
from fugato.represent import tokens as t
from fugato.score import Meter, Part, Score

from .music_styles import performed, styled

METERS = [(n, d) for n, d in t.METERS if 4 * t.TICKS * n <= t.LONGEST_BAR * d]
FIELDS = ["onset", "duration", "pitch", "velocity", "part"]


@st.composite
def on_the_grid(draw: st.DrawFn) -> Score:
    """Pieces of one to four parts with changes of meter, a pickup, triplets and notes across bars."""
    meters, onset = [], 0.0
    bars: list[float] = []
    pickup = draw(st.sampled_from([0.0, 0.5, 1.0, 1 / 3]))
    if pickup:
        bars, onset = [0.0], pickup
    for _ in range(draw(st.integers(1, 3))):
        numerator, denominator = draw(st.sampled_from(METERS))
        meters.append(Meter(onset if bars != [0.0] or not pickup else 0.0, numerator, denominator))
        for _ in range(draw(st.integers(1, 4))):
            bars.append(onset)
            onset += 4 * numerator / denominator
    n_parts = draw(st.integers(1, 4))
    ticks = round(onset * t.TICKS)
    place = st.tuples(st.integers(0, ticks - 1), st.integers(0, n_parts - 1), st.integers(0, 127))
    chosen = sorted(draw(st.sets(place, min_size=1, max_size=60)))
    lengths = draw(st.lists(st.integers(1, 96), min_size=len(chosen), max_size=len(chosen)))
    loud = draw(st.lists(st.integers(1, 7), min_size=len(chosen), max_size=len(chosen)))
    used = sorted({part for _, part, _ in chosen})  # parts without a note cannot come back
    return Score.from_notes(
        [tick / t.TICKS for tick, _, _ in chosen],
        [length / t.TICKS for length in lengths],
        [pitch for _, _, pitch in chosen],
        velocity=[16 * level for level in loud],
        part=[used.index(part) for _, part, _ in chosen],
        parts=[Part(program=8 * part) for part in used],
        meters=meters,
        bars=np.array(bars),
        beats="notated",
    )


def table(score: Score) -> list[tuple[float, ...]]:
    return sorted(tuple(np.round([float(n[f]) for f in FIELDS], 6)) for n in score.notes)


@settings(max_examples=150, deadline=None)
@given(on_the_grid())
def test_a_piece_on_the_grid_comes_back_as_it_was(score: Score) -> None:
    tokens = t.encode(score)
    back = t.decode(tokens)
    assert table(back) == table(score)
    assert np.allclose(back.bars, score.bars)
    assert [part.program for part in back.parts] == [part.program for part in score.parts]
    again = t.encode(back)
    assert (again.rows[:, : t.METER] == tokens.rows[:, : t.METER]).all()
    at = [score.bar_of(bar) for bar in score.bars]
    want = [[m for m in score.meters if m.onset <= score.bars[b] + 1e-6][-1][1:] for b in at]
    got = [[m for m in back.meters if m.onset <= back.bars[b] + 1e-6][-1][1:] for b in at]
    assert got == want


@settings(max_examples=50, deadline=None)
@given(on_the_grid())
def test_every_value_is_in_the_vocabulary_and_steps_are_in_order(score: Score) -> None:
    rows = t.encode(score).rows.astype(int)
    assert (rows.max(axis=0) < t.VOCABULARY).all()
    notes = rows[:, t.EVENT] < t.BAR
    assert rows[0, t.EVENT] == t.BAR and (rows[notes, 1:4] > 0).all() and (rows[notes, t.METER :] == 0).all()
    bar = np.cumsum(rows[:, t.EVENT] == t.BAR)[notes]
    keys = list(zip(bar, rows[notes, 0], rows[notes, 1], rows[notes, 2], strict=True))
    assert keys == sorted(set(keys))


def test_a_file_of_a_user_that_lies_off_the_grid_is_rounded() -> None:
    score = styled("Bach", 1)
    late = np.random.default_rng(0).uniform(-0.03, 0.03, len(score))
    notes = score.notes
    played = Score.from_notes(
        np.maximum(notes["onset"] + late, 0), notes["duration"], notes["pitch"], beats="notated", meters=score.meters
    )
    assert table(t.decode(t.encode(played)))[:40] == table(score)[:40]


def test_a_performance_in_free_time_is_refused_with_what_to_do() -> None:
    with pytest.raises(FugatoError, match="no notated beat") as refused:
        t.encode(performed(styled("Chopin", 2)))
    assert refused.value.kind == "unsupported"


def test_nothing_and_drums_alone_are_refused() -> None:
    with pytest.raises(FugatoError) as refused:
        t.encode(Score.from_notes([], [], []))
    assert refused.value.kind == "empty"
    with pytest.raises(FugatoError) as refused:
        t.encode(Score.from_notes([0, 1], [1, 1], [36, 38], drum=True))
    assert refused.value.kind == "drums-only"


def test_very_long_notes_and_bars_are_cut() -> None:
    score = Score.from_notes([0, 0, 0], [100, 12, 8], [60, 64, 67], meters=[Meter(0, 20, 4)], beats="notated")
    back = t.decode(t.encode(score))
    assert back.notes["duration"].tolist() == [32, 12, 8]
    assert np.diff(back.bars).tolist()[:5] == [8, 8, 4, 8, 8]


def test_double_notes_are_one_and_parts_beyond_the_eighth_share_it() -> None:
    twice = Score.from_notes([0, 0], [1, 3], [60, 60], beats="notated")
    assert t.decode(t.encode(twice)).notes["duration"].tolist() == [3]
    many = Score.from_notes(
        range(10), [1] * 10, [60] * 10, part=list(range(10)), parts=[Part(program=i) for i in range(10)]
    )
    back = t.decode(t.encode(many))
    assert back.notes["part"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7] and len(back.parts) == 8


def test_transposing_moves_pitches_and_key_and_nothing_else() -> None:
    score = styled("Bach", 3)
    here, there = t.encode(score), t.encode(score.transpose(5))
    assert (t.transposed(here.rows, 5) == there.rows).all()
    assert (t.transposed(t.transposed(here.rows, 4), -4) == here.rows).all()
    edge = np.array([[0, 1, 128, 12, 0, 0, 0, 0, 0, 0]], np.uint8)
    assert t.transposed(edge, 6)[0, t.PITCH] == 128 + 6 - 12


def test_every_key_is_a_few_semitones_from_home() -> None:
    for key in range(1, 25):
        shift = t.shift_home(key)
        assert -5 <= shift <= 6 and (key - 1 + shift) % 12 == (9 if key > 12 else 0)
        rows = np.array([[t.BAR, 0, 0, 0, 0, 1, 48, key, 0, 1]], np.uint8)
        assert t.transposed(rows, shift)[0, t.KEY] == t.home_key(key)
    assert t.shift_home(0) == t.home_key(0) == 0


def test_bars_say_what_is_planned() -> None:
    scale = Score.from_notes(range(16), [1] * 16, [60, 62, 64, 65, 67, 69, 71, 72] * 2, beats="notated")
    rows = t.encode(scale).rows
    bars = rows[rows[:, t.EVENT] == t.BAR]
    assert bars[:, t.LEFT].tolist() == [4, 3, 2, 1]
    assert set(bars[:, t.KEY]) == {1} and set(bars[:, t.LENGTH]) == {48} and set(bars[:, t.METER]) == {1}
    assert set(bars[:, t.DENSITY]) == {3}  # one note a quarter
    assert t.left_index(np.array([16, 17, 24, 25, 32, 33, 64, 65, 900])).tolist() == [
        16,
        17,
        17,
        18,
        18,
        19,
        19,
        20,
        20,
    ]


def test_real_scores_lose_nothing_but_what_the_module_says() -> None:
    from music21.corpus import getPaths

    chorales = [p for p in getPaths() if "bach" in str(p) and str(p).endswith(".mxl")][:4]
    for path in chorales:
        score = fugato.read(path)
        back = t.decode(t.encode(score))
        assert {row[:3] + row[4:] for row in table(back)} == {row[:3] + row[4:] for row in table(score)}
        assert np.allclose(back.bars, score.bars)
