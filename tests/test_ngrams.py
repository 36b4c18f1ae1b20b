"""N-grams of small tunes, counted by hand; and vectors that only the music can change."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fugato.read import read
from fugato.represent import ngrams, stream
from fugato.score import Meter, Score

from .music_files import midi_of
from .music_styles import COMPOSERS, musicxml_of, styled

PIECES = [styled(composer, seed) for composer in COMPOSERS for seed in (100, 101)]
# C D E D C D, the last twice as long in coming
TUNE = Score.from_notes([0, 1, 2, 3, 4, 6], [1] * 6, [60, 62, 64, 62, 60, 62])


def counted(score: Score, block: str) -> dict[int, int]:
    """Cells of one exact block and how often they occur."""
    place = dict(zip((b.name for b in ngrams.BLOCKS), ngrams.layout(), strict=True))[block]
    cell, times = ngrams.count(stream(score))
    inside = (cell >= place.start) & (cell < place.stop)
    return dict(zip((cell[inside] - place.start).tolist(), times[inside].tolist(), strict=True))


def vector(score: Score, rarity: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """The whole vector, shape=(width,)."""
    out = np.zeros(ngrams.width(), np.float32)
    cell, times = ngrams.count(stream(score))
    out[cell] = ngrams.weigh(
        cell, times, np.ones(ngrams.width(), np.float32) if rarity is None else rarity, ngrams.layout()
    )
    return out


def test_the_grams_of_a_little_tune_are_those_counted_by_hand() -> None:
    up, down = 16 + 2, 16 - 2  # a whole tone; 16 is the repeated note
    assert counted(TUNE, "melody/1") == {up: 3, down: 2}
    assert counted(TUNE, "melody/2") == {33 * up + up: 1, 33 * up + down: 1, 33 * down + down: 1, 33 * down + up: 1}
    assert counted(TUNE, "bass/1") == counted(TUNE, "melody/1"), "one line is both"
    assert counted(TUNE, "step/1") == {8: 4, 10: 1}, (
        "as long as the median; an octave of tempo longer is two half-octaves"
    )
    assert counted(TUNE, "ratio/1") == {6: 3, 9: 1}, "even, and twice as long"
    assert counted(TUNE, "size/1") == {0: 6} and counted(TUNE, "gap/1") == {0: 6}
    assert counted(TUNE, "chord/1") == {0: 6} and counted(TUNE, "classes/1") == {1: 6}
    assert counted(TUNE, "register/1") == {24 - 2: 2, 24: 3, 24 + 2: 1}, "against the median, D"
    assert counted(TUNE, "near_classes/1") == {3: 3}, "C D E D, D E D C and E D C D have three each"


def test_the_spans_of_a_broken_chord_are_its_harmony_and_its_outer_lines() -> None:
    # C E G C' twice, then D F A D' twice: broken triads in root position
    chords = [60, 64, 67, 72] * 2 + [62, 65, 69, 74] * 2
    broken = Score.from_notes(np.arange(16) / 2, [0.5] * 16, chords)
    major, minor, whole = 1 << 3 | 1 << 6, 1 << 2 | 1 << 6, 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 8
    found = counted(broken, "chord_4/1")
    assert found[major] == found[minor] == 5, "four runs of four begin in each half, and one ends in it"
    assert counted(broken, "chord_16/1") == {whole: 1}, "C D E F G A"
    symbols = ngrams.symbols(stream(broken))
    moves, at = symbols["low_4"]
    assert at.tolist() == list(range(9)), "thirteen spans of four, each compared with the one four later"
    assert (moves - 16).tolist() == [0, 2, 2, 2, 2, 0, 0, 0, 0]
    assert (symbols["high_4"][0] - 16).tolist() == [0, 0, 0, 0, 2, 2, 2, 2, 0]
    assert not len(symbols["low_16"][0]), "there is one run of sixteen only"


def test_runs_over_spans_take_every_so_manyth_value() -> None:
    slow = ngrams.Block("spans", (("low_4", 2),), 0, stride=4)
    climbing = Score.from_notes(np.arange(24), [1] * 24, [60 + k // 4 * 2 for k in range(24)])
    ((cell, at),) = ngrams.grams(stream(climbing), (slow,))
    moves = ngrams.symbols(stream(climbing))["low_4"][0]
    assert cell.tolist() == [33 * moves[k] + moves[k + 4] for k in range(len(moves) - 4)]
    assert at.tolist() == list(range(len(cell)))


def test_places_in_the_bar_and_written_lengths_are_counted_where_there_are_beats() -> None:
    waltz = [1.0, 0.5, 0.5, 1.0] * 4
    onset = np.cumsum([0.0, *waltz[:-1]])
    score = Score.from_notes(onset, waltz, [60, 62, 64, 65] * 4, meters=[Meter(0.0, 3, 4)], beats="notated")
    assert counted(score, "place/1") == {0: 4, 4: 4, 6: 4, 8: 4}
    quarter, eighth = 10, 8
    assert counted(score, "written_top/1") == {quarter: 8, eighth: 8}
    assert set(ngrams.symbols(stream(score))["bar_length"][0].tolist()) == {6}, "six eighths"
    played = replace(score, beats="default")
    assert not any(len(values) for name, (values, _) in ngrams.symbols(stream(played)).items() if name in ngrams.METRE)
    assert not vector(played)[ngrams.metrical()].any() and vector(score)[ngrams.metrical()].any()


def test_degrees_are_counted_above_the_tonic_of_the_key() -> None:
    scale = [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60, 67, 60]
    tune = Score.from_notes(range(len(scale)), [1] * len(scale), scale)
    assert ngrams.tonic(stream(tune).pitch_classes) == (0, 0)
    assert counted(tune, "degree/1") == {0: 4, 2: 1, 4: 2, 5: 1, 7: 3, 9: 1, 11: 1}
    assert counted(tune.transpose(5), "degree/1") == counted(tune, "degree/1")
    minor = Score.from_notes(range(8), [1] * 8, [57, 60, 64, 57, 68, 69, 64, 57])
    assert ngrams.tonic(stream(minor).pitch_classes) == (9, 1)
    assert counted(minor, "degree/1")[12] == 4, "minor degrees have cells of their own"


@pytest.mark.parametrize("semitones", [-24, -5, 1, 6])
def test_every_gram_lies_in_its_block(semitones: int) -> None:
    wild = np.random.default_rng(0)
    leaps = Score.from_notes(np.sort(wild.random(400) * 50), [0.1] * 400, wild.integers(0, 128, 400), beats="notated")
    for piece in [leaps, *PIECES]:
        for block, (cell, event) in zip(ngrams.BLOCKS, ngrams.grams(stream(piece.transpose(semitones))), strict=True):
            assert len(cell) == len(event) and len(cell) > 0, block.name
            assert cell.min() >= 0 and cell.max() < block.width, block.name


def test_symbols_stay_within_their_alphabets() -> None:
    for piece in PIECES:
        events = stream(piece)
        for name, (values, at) in ngrams.symbols(events).items():
            assert values.min() >= 0 and values.max() < ngrams.ALPHABETS[name], name
            assert len(values) == len(at) and at.max() < len(events), name
            assert (np.diff(at) >= 0).all(), name


def test_the_layout_covers_the_vector_once() -> None:
    places = ngrams.layout()
    assert places[0].start == 0 and places[-1].stop == ngrams.width()
    assert all(a.stop == b.start for a, b in itertools.pairwise(places))
    assert [p.stop - p.start for p in places if p.hashed] == [2**block.bits for block in ngrams.BLOCKS if block.bits]


def test_every_block_has_unit_length() -> None:
    rarity = np.random.default_rng(0).uniform(1, 5, ngrams.width()).astype(np.float32)
    for piece in PIECES:
        whole = vector(piece, rarity)
        for block, place in zip(ngrams.BLOCKS, ngrams.layout(), strict=True):
            assert np.linalg.norm(whole[place.start : place.stop]) == pytest.approx(1, abs=1e-5), block.name


def test_a_cell_without_rarity_is_left_out_of_any_block() -> None:
    cell, times = ngrams.count(stream(PIECES[0]))
    rarity = np.ones(ngrams.width(), np.float32)
    rarity[cell[::2]] = 0
    values = ngrams.weigh(cell, times, rarity, ngrams.layout())
    assert not values[::2].any() and np.isfinite(values).all()


@pytest.mark.parametrize("semitones", [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6])
def test_a_transposed_piece_has_the_same_vector(semitones: int) -> None:
    for piece in PIECES:
        np.testing.assert_array_equal(vector(piece), vector(piece.transpose(semitones)))


def test_format_ticks_and_tempo_leave_the_vector_alone() -> None:
    for piece in PIECES:
        expected = vector(piece)
        for data, name in ((midi_of(piece, ticks=96, qpm=50), "x.mid"), (musicxml_of(piece), "x.musicxml")):
            np.testing.assert_array_equal(expected, vector(read(data, name=name)))


def test_pieces_of_one_hand_are_nearer_than_pieces_of_two() -> None:
    table = np.array([vector(styled(composer, seed)) for composer in COMPOSERS for seed in range(100, 106)])
    near = table @ table.T
    own = np.kron(np.eye(len(COMPOSERS)), np.ones((6, 6))).astype(bool)
    assert near[own & ~np.eye(len(table), dtype=bool)].mean() > near[~own].mean()


HASH = """
import hashlib, numpy as np
from fugato.score import Score
from fugato.represent import ngrams, stream
pitch = [60 + (7 * i * i) % 25 for i in range(200)]
cell, times = ngrams.count(stream(Score.from_notes([i / 2 for i in range(200)], [0.5] * 200, pitch)))
print(hashlib.sha256(cell.astype("<i4").tobytes() + times.astype("<i4").tobytes()).hexdigest())
"""


def test_hashing_is_the_same_in_every_process() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-X", f"frozen_modules={o}", "-c", HASH], capture_output=True, check=True
        ).stdout
        for o in ("on", "off")
    }
    pitch = [60 + (7 * i * i) % 25 for i in range(200)]
    cell, times = ngrams.count(stream(Score.from_notes(np.arange(200) / 2, [0.5] * 200, pitch)))
    here = hashlib.sha256(cell.astype("<i4").tobytes() + times.astype("<i4").tobytes()).hexdigest()
    assert runs == {here.encode() + b"\n"}


def test_a_tune_of_two_notes_has_a_vector() -> None:
    for n in (1, 2, 3):
        short = Score.from_notes(range(n), [1] * n, [60] * n)
        assert np.isfinite(vector(short)).all() and vector(short).any()
