"""The piano roll has the cells of pretty_midi's, and its windows cover the whole piece."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from fugato.errors import FugatoError
from fugato.read import read, read_many
from fugato.represent import pianoroll
from fugato.represent.pianoroll import pianoroll_bytes, windows
from fugato.score import Part, Score, Tempo

from .music_files import midi_of, piece


def random_score(seed: int, notes: int = 600) -> Score:
    """Notes of three parts, one of them percussion, that often overlap themselves; no time lies on a frame's edge."""
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 3, notes)
    return Score.from_notes(
        rng.uniform(0, 90, notes),
        rng.choice([0.03, 0.21, 1.37, 5.11], notes) * rng.uniform(0.9, 1.1, notes),
        rng.integers(40, 90, notes),
        velocity=rng.integers(1, 128, notes),
        part=part,
        drum=part == 2,
        parts=[Part("a"), Part("b", 40), Part("c", 0, True)],
        tempos=[Tempo(0, 97.3), Tempo(31.0, 141.7)],
    )


@pytest.mark.parametrize("rate", [20, 12.5, 100])
@pytest.mark.parametrize("seed", range(4))
def test_the_cells_are_those_of_pretty_midi(seed: int, rate: float) -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    score = random_score(seed)
    midi = pretty_midi.PrettyMIDI()
    for index, part in enumerate(score.parts):
        instrument = pretty_midi.Instrument(part.program, part.drum)
        for n in score.notes[score.notes["part"] == index]:
            start = float(n["onset_seconds"])
            end = start + float(n["duration_seconds"])
            instrument.notes.append(pretty_midi.Note(int(n["velocity"]), int(n["pitch"]), start, end))
        midi.instruments.append(instrument)
    theirs = np.minimum(midi.get_piano_roll(rate), 127).T
    ours = pianoroll(score, rate)
    assert ours.dtype == np.uint8 and ours.shape[1] == 128
    assert ours.max() == 127, "notes that sound together add up to the cap"
    assert np.array_equal(ours, theirs[: len(ours)]) and not theirs[len(ours) :].any()  # theirs counts drums' time


def test_a_written_and_read_file_has_the_same_roll() -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    data = midi_of(piece(3), qpm=93.7, velocities=(33, 90, 127))
    theirs = np.minimum(pretty_midi.PrettyMIDI(io.BytesIO(data)).get_piano_roll(20), 127).T
    ours = pianoroll(read(data))
    assert ours.shape == theirs.shape
    assert np.mean(ours != theirs) < 1e-4, "but for times that rounding puts on either side of a frame's edge"


@pytest.mark.corpora
def test_real_files_have_the_cells_of_pretty_midi_but_for_pedal_and_bends(corpora: Path) -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    files = sorted((corpora / "nine").rglob("*.mid"))[::60]
    assert files
    for file in files:
        midi = pretty_midi.PrettyMIDI(str(file))
        for instrument in midi.instruments:
            instrument.pitch_bends = []
        theirs = np.minimum(midi.get_piano_roll(20, pedal_threshold=None), 127).T
        ours = pianoroll(read(file))
        n = min(len(ours), len(theirs))
        assert np.count_nonzero(ours[:n] != theirs[:n]) < 0.005 * np.count_nonzero(ours), file.name
        assert not ours[n:].any() and not theirs[n:].any()


def test_a_note_lasts_from_its_first_frame_to_its_last() -> None:
    roll = pianoroll(Score.from_notes([0, 1, 3], [1, 0.5, 1], [60, 64, 67], velocity=[10, 20, 30]))  # 0.5 s a quarter
    assert roll.shape == (40, 128)
    assert roll[:, 60].tolist() == [10] * 10 + [0] * 30
    assert roll[:, 64].tolist() == [0] * 10 + [20] * 5 + [0] * 25
    assert roll[:, 67].tolist() == [0] * 30 + [30] * 10
    assert not np.delete(roll, [60, 64, 67], axis=1).any()


def test_times_on_a_frames_edge_are_not_lost_to_rounding() -> None:
    steps = np.arange(400)
    roll = pianoroll(Score.from_notes(0.1 * steps, np.full(400, 0.1), 30 + steps % 60))  # each a frame of 50 ms
    assert np.array_equal((roll > 0).sum(axis=1), np.ones(400))
    assert np.array_equal(roll.argmax(axis=1), 30 + steps % 60)


def test_drums_and_their_time_are_left_out() -> None:
    score = Score.from_notes([0, 50], [1, 1], [60, 36], drum=[False, True])
    assert pianoroll(score).shape == (10, 128)
    assert pianoroll(Score.from_notes([0], [1], [36], drum=True)).shape == (0, 128)
    assert pianoroll(Score.from_notes([], [], [])).shape == (0, 128)


def test_a_single_note_of_no_length_gives_an_empty_frame_or_none() -> None:
    assert not pianoroll(Score.from_notes([4.01], [0.0], [127])).any()
    assert pianoroll(Score.from_notes([0], [0.01], [0])).shape == (0, 128)


@pytest.mark.parametrize("n_frames, expected", [(0, 0), (1, 1), (10, 1), (11, 2), (200, 20), (995, 100), (1000, 100)])
def test_a_window_starts_every_half_second_and_the_last_are_padded(n_frames: int, expected: int) -> None:
    roll = np.arange(n_frames * 128).reshape(n_frames, 128).astype(np.uint8)
    found = windows(roll)
    assert found.shape == (expected, 200, 128) and found.dtype == np.uint8
    for i, window in enumerate(found):
        part = roll[10 * i : 10 * i + 200]
        assert np.array_equal(window[: len(part)], part) and not window[len(part) :].any()


def test_windows_take_no_memory_and_cannot_be_written() -> None:
    found = windows(np.ones((20_000, 128), np.uint8))
    assert found.shape == (2000, 200, 128) and not found.flags.owndata
    assert found.strides == (10 * 128, 128, 1)
    with pytest.raises(ValueError):
        found[0, 0, 0] = 1


def test_windows_of_any_size() -> None:
    roll = np.random.default_rng(0).integers(0, 128, (57, 128)).astype(np.uint8)
    assert np.array_equal(windows(roll, size=5, hop=5).reshape(60, 128)[:57], roll)
    assert np.array_equal(windows(roll, size=1, hop=20)[:, 0], roll[::20])


def test_what_makes_no_sense_is_refused() -> None:
    score = piece(0)
    for rate in (0, -1, float("nan")):
        with pytest.raises(FugatoError) as caught:
            pianoroll(score, rate)
        assert caught.value.kind == "bad-option"
    for size, hop in ((0, 1), (1, 0)):
        with pytest.raises(FugatoError) as caught:
            windows(pianoroll(score), size, hop)
        assert caught.value.kind == "bad-option"
    with pytest.raises(FugatoError) as caught:
        pianoroll(Score.from_notes([0], [1e5], [60]))
    assert caught.value.kind == "too-large" and "14 hours" in caught.value.message


def test_a_folder_is_drawn_in_worker_processes() -> None:
    pieces = [piece(seed) for seed in range(4)]
    drums = Score.from_notes([0], [1], [36], drum=True)
    items = list(read_many([midi_of(p) for p in pieces], jobs=2, then="fugato.represent.pianoroll:pianoroll_bytes"))
    for score, item in zip(pieces, items, strict=True):
        assert isinstance(item.result, bytes)
        assert np.array_equal(np.load(io.BytesIO(item.result), allow_pickle=False), pianoroll(score))
    for score, kind in ((drums, "drums-only"), (Score.from_notes([], [], []), "empty")):
        with pytest.raises(FugatoError) as caught:
            pianoroll_bytes(score, name="x.mid", sha256="")
        assert caught.value.kind == kind and caught.value.input == "x.mid"
