"""A played copy keeps the notes and loses the grid."""

from __future__ import annotations

import numpy as np
import pytest

from fugato.represent.played import JITTER_SECONDS, SHORTEST_SECONDS, played
from fugato.represent.stream import stream
from fugato.score import Score


@pytest.fixture
def score() -> Score:
    onset = np.repeat(np.arange(200) * 0.5, 3)
    pitch = np.tile([48, 64, 72], 200) + np.repeat(np.arange(200) % 7, 3)
    return Score.from_notes(onset, np.full(600, 0.5), pitch)


def test_pitches_and_their_order_stay_and_chords_stay_chords(score: Score) -> None:
    copy = played(score, np.random.default_rng(3))
    assert copy.beats == "default"
    assert sorted(copy.notes["pitch"]) == sorted(score.notes["pitch"])
    written, heard = stream(score), stream(copy)
    assert len(heard) == pytest.approx(len(written), rel=0.06)
    same = np.flatnonzero(np.isin(heard.top, written.top)).size / len(heard)
    assert same > 0.95


def test_time_is_uneven_but_bounded(score: Score) -> None:
    copy = played(score, np.random.default_rng(4))
    starts = np.sort(copy.notes["onset_seconds"])
    assert np.all(np.diff(copy.notes["onset"]) >= 0)
    np.testing.assert_allclose(copy.notes["onset"], copy.notes["onset_seconds"] * 2)
    assert copy.notes["duration_seconds"].min() >= SHORTEST_SECONDS - 1e-9
    chords = starts.reshape(200, 3)
    assert JITTER_SECONDS / 3 < chords.std(axis=1).mean() < 2 * JITTER_SECONDS
    steps = np.diff(chords.mean(axis=1))
    assert steps.std() / steps.mean() > 0.05
    assert 0.5 * 0.35 / 2 < np.median(steps) < 0.5 * 0.8 * 2


def test_the_same_seed_plays_the_same(score: Score) -> None:
    one, two, other = (played(score, np.random.default_rng(seed)).notes for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one["onset"], other["onset"])


def test_a_score_without_notes_stays_one() -> None:
    assert not len(played(Score.from_notes([], [], []), np.random.default_rng(0)))
