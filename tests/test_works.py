"""The same music is the same work, whatever its key, tempo or file; other music is not."""

from __future__ import annotations

import numpy as np
import pytest

from fugato.corpus.works import Hashes, count_pairs, distinct, fingerprint, join, same_work, shared_grams
from fugato.read import read
from fugato.represent.stream import stream
from fugato.score import Score

from .music_files import midi_of, piece, scales


def prints(*scores: Score) -> list[Hashes]:
    return [fingerprint(stream(s)) for s in scores]


def works(*scores: Score) -> list[int]:
    """The group of each piece by fingerprint alone."""
    first, second, grams, sizes = count_pairs(prints(*scores))
    same = same_work(grams, np.minimum(sizes[first], sizes[second]))
    return join(len(scores), first[same], second[same]).tolist()


def together(*scores: Score) -> Score:
    """The pieces played one after another."""
    at, onset, duration, pitch = 0.0, [], [], []
    for score in scores:
        onset += (score.notes["onset"] + at).tolist()
        duration += score.notes["duration"].tolist()
        pitch += score.notes["pitch"].tolist()
        at += score.end + 4
    return Score.from_notes(onset, duration, pitch)


def played(score: Score, seed: int = 0) -> Score:
    """With the unevenness of a hand: onsets off by some hundredths of a quarter note."""
    rng = np.random.default_rng(seed)
    onset = np.maximum(score.notes["onset"] + rng.normal(0, 0.02, len(score)), 0)
    return Score.from_notes(onset, score.notes["duration"], score.notes["pitch"], beats="default")


@pytest.mark.parametrize("semitones", [-5, 1, 7])
def test_a_transposed_copy_is_the_same_work(semitones: int) -> None:
    assert works(piece(1), piece(1).transpose(semitones)) == [0, 0]


def test_key_and_tempo_leave_the_fingerprint_as_it_is() -> None:
    plain, higher, faster = prints(piece(1), piece(1).transpose(3), piece(1).change_tempo(1.7))
    assert plain.tolist() == higher.tolist() == faster.tolist()


def test_tracks_ticks_and_velocities_leave_the_fingerprint_as_it_is() -> None:
    one = read(midi_of(piece(1)))
    other = read(midi_of(piece(1), ticks=96, qpm=61, velocities=(30, 99, 64), tracks=4))
    a, b = prints(one, other)
    assert len(a) > 100 and a.tolist() == b.tolist()


def test_a_performance_is_the_same_work_as_its_score() -> None:
    assert works(piece(1), played(piece(1))) == [0, 0]


def test_a_movement_is_found_in_the_whole_work() -> None:
    whole = together(piece(1), piece(2), piece(3))
    assert works(whole, piece(2), piece(4)) == [0, 0, 2]


def test_different_pieces_are_different_works() -> None:
    assert works(*(piece(seed) for seed in range(30))) == list(range(30))


def test_a_scale_in_common_does_not_join_pieces() -> None:
    assert works(*(together(piece(seed, 320), scales(8, octaves=1)) for seed in range(8))) == list(range(8))


def test_runs_that_everybody_plays_do_not_join_pieces() -> None:
    studies = [together(piece(seed, 60), scales(20, octaves=3)) for seed in range(70)]
    assert works(*studies) == list(range(70))


def test_a_gram_that_many_pieces_have_tells_nothing() -> None:
    grams = [np.arange(10, dtype=np.uint32)] * 5
    assert shared_grams(grams, common=4) == []
    assert {s.share for s in shared_grams(grams, common=5)} == {1.0}


def test_pairs_are_counted_as_by_hand() -> None:
    sets = [np.array(s, np.uint32) for s in ([1, 2, 3, 4], [2, 3, 9], [], [3, 9, 11])]
    first, second, grams, sizes = count_pairs(sets)
    counted = {(int(a), int(b)): int(g) for a, b, g in zip(first, second, grams, strict=True)}
    assert counted == {(0, 1): 2, (0, 3): 1, (1, 3): 2}
    assert sizes.tolist() == [4, 3, 0, 3]


def test_no_pieces_and_pieces_without_notes_have_no_pairs() -> None:
    silent = Score.from_notes([], [], [])
    assert works() == []
    assert works(silent, silent, piece(1)) == [0, 1, 2]


def test_links_join_chains_and_rings() -> None:
    first, second = np.array([5, 3, 3, 7, 8]), np.array([4, 5, 1, 8, 7])
    assert join(9, first, second).tolist() == [0, 1, 2, 1, 1, 1, 6, 7, 7]


def test_the_first_of_equal_values_is_marked() -> None:
    assert distinct(np.array([1, 1, 2, 5, 5])).tolist() == [True, False, True, True, False]
    assert distinct(np.zeros(0, np.uint32)).tolist() == []
