"""Keys of a piece and of its moments; turns of a line that come back."""

from __future__ import annotations

import numpy as np
import pytest

from fugato.represent import echoes, stream
from fugato.represent.keys import clarity, local_keys, tonic
from fugato.score import Score

from .music_styles import styled

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12])


def cadences(tonic: int, times: int) -> list[list[int]]:
    """I IV V I over and over, as chords."""
    triads = ([0, 4, 7], [5, 9, 12], [7, 11, 14], [0, 4, 7])
    return [[tonic + p for p in triad] for _ in range(times) for triad in triads]


def score_of(chords: list[list[int]]) -> Score:
    onset = [float(i) for i, chord in enumerate(chords) for _ in chord]
    return Score.from_notes(onset, [1.0] * len(onset), [p for chord in chords for p in chord])


def test_the_key_of_a_piece_is_that_of_its_scale() -> None:
    assert tonic(np.bincount(MAJOR % 12, minlength=12).astype(float)) == (0, 0)
    harmonic_minor = np.bincount(np.array([9, 11, 0, 2, 4, 5, 8, 9]), minlength=12).astype(float)
    assert tonic(harmonic_minor) == (9, 1)


def test_a_modulation_is_heard_where_it_happens() -> None:
    keys = local_keys(stream(score_of(cadences(60, 20) + cadences(67, 20))))  # C, then G
    assert keys[0] == 0 and keys[-1] == 7
    assert set(keys.tolist()) == {0, 7}
    turn = int(np.flatnonzero(np.diff(keys))[0]) + 1
    assert abs(turn - 80) <= 12 and len(np.flatnonzero(np.diff(keys))) == 1


def test_a_chord_of_another_key_is_no_modulation() -> None:
    chords = cadences(60, 12)
    chords[24] = [62, 66, 69]  # one D major chord
    assert set(local_keys(stream(score_of(chords))).tolist()) == {0}


@pytest.mark.parametrize("semitones", [-5, 1, 6])
def test_transposition_moves_all_keys_alike(semitones: int) -> None:
    for composer in ("Bach", "Chopin"):
        piece = styled(composer, 100)
        before, after = local_keys(stream(piece)), local_keys(stream(piece.transpose(semitones)))
        np.testing.assert_array_equal((before % 12 + semitones) % 12 + before // 12 * 12, after)


def test_nothing_and_one_chord_have_keys_too() -> None:
    assert len(local_keys(stream(score_of([])))) == 0
    assert local_keys(stream(score_of([[60, 64, 67]]))).tolist() == [0]


def plainly(code: list[int], other: list[int]) -> list[int]:
    """By looking back one turn at a time."""
    found = []
    for i, turn in enumerate(code):
        before = [j for j in range(i) if other[j] == turn]
        found.append(min(int(np.log2(i - before[-1])), 12) if before else 13)
    return found


def test_turns_are_runs_of_intervals_whatever_the_pitch() -> None:
    line = np.array([60, 62, 64, 65, 67, 72, 62, 64, 66, 67, 69])
    code = echoes.turns(line)
    assert len(code) == len(line) - echoes.TURN
    assert code[0] == code[-1], "the same run a tone higher"
    assert len(set(code.tolist())) == len(code) - 1
    assert len(echoes.turns(line[:4])) == 0


def test_distances_back_are_those_found_by_looking() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 12, 300), rng.integers(0, 12, 300)
    assert echoes.since(one).tolist() == plainly(one.tolist(), one.tolist())
    assert echoes.since_in(one, two).tolist() == plainly(one.tolist(), two.tolist())
    none = np.zeros(0, np.int64)
    assert len(echoes.since(none)) == len(echoes.since_in(none, none)) == 0


def test_a_canon_answers_and_a_scale_does_not() -> None:
    theme = np.array([60, 64, 62, 67, 65, 71, 69, 60, 66, 63] * 3) + np.repeat([0, 3, 1], 10)
    upper, lower = np.concatenate([theme, theme]), np.concatenate([np.arange(6), theme, theme])[: 2 * len(theme)] - 24
    canon = echoes.since_in(echoes.turns(lower), echoes.turns(upper))
    assert np.median(canon[6:]) <= 3, "the lower voice follows six notes behind"
    other = echoes.since_in(echoes.turns(np.arange(60)), echoes.turns(upper))
    assert (other == echoes.FAR + 1).all()


def test_notes_drawn_by_lot_are_in_no_key() -> None:
    rng = np.random.default_rng(0)
    lots = Score.from_notes(np.sort(rng.uniform(0, 100, 400)), rng.uniform(0.1, 2, 400), rng.integers(30, 95, 400))
    tonal = [clarity(stream(styled(name, 1))) for name in ("Bach", "Chopin")]
    assert clarity(stream(lots)) < 0.65 < min(tonal) <= 1
    assert clarity(stream(score_of(cadences(60, 20)))) == pytest.approx(
        clarity(stream(score_of(cadences(67, 20)))), abs=1e-9
    )
    assert clarity(stream(Score.from_notes([], [], []))) == 1.0
