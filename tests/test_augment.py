"""Changed chunks are still the same music, a little higher, longer or later; classes come out even."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fugato.errors import FugatoError
from fugato.represent.augment import augment, balance
from fugato.represent.chunks import CHUNK_FEATURES, NOTE_FEATURES, chunks
from fugato.score import Score

from .music_styles import COMPOSERS, styled

MADE = [chunks(styled(composer, seed, bars=40), 50) for composer in COMPOSERS for seed in (1, 2)]
NOTES = np.concatenate([m.notes for m in MADE])
SUMMARY = np.concatenate([m.summary for m in MADE])


def column(notes: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    return np.asarray(notes[:, :, NOTE_FEATURES.index(name)], np.float64)


def test_a_chunk_is_moved_as_a_whole_by_one_to_three_semitones() -> None:
    notes, _ = augment(NOTES, SUMMARY, random_seed=1)
    step = column(notes, "pitch") - column(NOTES, "pitch")
    assert (step == step[:, :1]).all() and set(step[:, 0]) == {-3, -2, -1, 1, 2, 3}
    for same in ("velocity", "delta_time", "interval", "program", "accented"):
        assert np.array_equal(column(notes, same), column(NOTES, same))


def test_durations_and_starts_stay_within_their_bounds() -> None:
    notes, _ = augment(NOTES, SUMMARY, random_seed=1)
    factor = column(notes, "duration") / column(NOTES, "duration")
    assert (factor > 0.8999).all() and (factor < 1.1001).all() and factor[:, 0].std() > 0.03
    later = column(notes, "start") - column(NOTES, "start")
    assert (abs(later) < 0.1001).all() and later.std() > 0.03 and column(notes, "start").min() >= 0
    assert column(notes, "end") == pytest.approx(column(notes, "start") + column(notes, "duration"), abs=1e-4)


def test_statistics_follow_the_notes() -> None:
    notes, summary = augment(NOTES, SUMMARY, random_seed=1)
    same = [CHUNK_FEATURES.index(name) for name in ("tempo", "pitch_range", "repetition_rate", "average_interval")]
    assert summary[:, same] == pytest.approx(SUMMARY[:, same], abs=1e-5)
    variety = summary[:, CHUNK_FEATURES.index("rhythmic_variety")]
    assert variety == pytest.approx(column(notes, "duration").std(axis=1), rel=1e-4)
    still, unchanged = augment(NOTES, SUMMARY, semitones=0, stretch=(1, 1), shift=0)
    assert np.array_equal(still, NOTES) and unchanged == pytest.approx(SUMMARY, rel=1e-4, abs=1e-5)


def test_no_pitch_leaves_the_range() -> None:
    edge = chunks(Score.from_notes(np.arange(40), np.ones(40), np.tile([0, 126], 20)), 4)
    for seed in range(5):
        notes, _ = augment(edge.notes, edge.summary, random_seed=seed)
        assert (notes[:, :, 0] == edge.notes[:, :, 0] + 1).all()  # one semitone up is all the room there is
    notes, _ = augment(NOTES, SUMMARY, lowest=60, highest=61)
    assert np.array_equal(notes[:, :, 0], NOTES[:, :, 0])


def test_the_same_seed_gives_the_same_chunks_and_leaves_the_old_ones_alone() -> None:
    before = NOTES.copy()
    first, other = augment(NOTES, SUMMARY, random_seed=4), augment(NOTES, SUMMARY, random_seed=5)
    again = augment(NOTES, SUMMARY, random_seed=4)
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0]) and np.array_equal(NOTES, before)


def test_classes_come_out_even() -> None:
    labels = np.array(["Bach"] * 3 + ["Chopin"] * (len(NOTES) - 3))
    notes, summary, names, source = balance(NOTES, SUMMARY, labels, random_seed=2)
    assert np.unique(names, return_counts=True)[1].tolist() == [len(NOTES) - 3] * 2
    assert np.array_equal(notes[: len(NOTES)], NOTES) and source[: len(NOTES)].tolist() == list(range(len(NOTES)))
    assert (labels[source] == names).all() and len(notes) == len(summary) == len(source)
    used = np.bincount(source[len(NOTES) :])
    assert used[:3].max() - used[:3].min() <= 1 and used[3:].sum() == 0
    fewer = balance(NOTES, SUMMARY, labels, at_most=5)[2]
    assert (fewer == "Bach").sum() == 5


def test_nothing_in_gives_nothing_out() -> None:
    notes, summary = augment(NOTES[:0], SUMMARY[:0])
    assert notes.shape == (0, 50, 9) and summary.shape == (0, 7)
    assert len(balance(NOTES[:0], SUMMARY[:0], np.array([], str))[3]) == 0


@pytest.mark.parametrize("options", [{"semitones": -1}, {"stretch": (1.1, 0.9)}, {"stretch": (0, 1)}, {"shift": -0.1}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(FugatoError) as refused:
        augment(NOTES, SUMMARY, **options)
    assert refused.value.kind == "bad-option"
