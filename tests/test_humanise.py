"""Playing a written piece: what the rules do to it, and what they leave alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fugato
from fugato.compose import Composition, humanise
from fugato.compose.playing import phrase_starts, tempo_rules, velocity_rules
from fugato.errors import FugatoError
from fugato.score import Meter, Score, Tempo


@pytest.fixture
def piece() -> Score:
    """Sixteen bars: a melody in quarters with a long note every four bars, over half notes in the bass."""
    melody = [(4 * bar + beat, 1.0, 72 + (bar + beat) % 5) for bar in range(16) for beat in range(4)]
    melody = [n for n in melody if n[0] % 16 not in (14, 15)] + [(16 * i + 13, 3.0, 72) for i in range(4)]
    melody = [n for n in melody if not (n[0] % 16 == 13 and n[1] == 1.0)]
    bass = [(2 * i, 2.0, 48 - i % 3) for i in range(32)]
    onset, duration, pitch = zip(*sorted(melody + bass), strict=True)
    return Score.from_notes(onset, duration, pitch, tempos=[Tempo(0.0, 90.0)], meters=[Meter(0.0, 4, 4)])


def test_notes_and_lengths_stay(piece: Score) -> None:
    played = humanise(piece, random_seed=1)
    assert sorted(played.notes["pitch"]) == sorted(piece.notes["pitch"])
    assert len(played.bars) == len(piece.bars) and played.meters == piece.meters
    assert played.end == pytest.approx(piece.end) and (played.notes["duration"] > 0).all()
    assert (np.diff(played.notes["onset"]) >= 0).all() and (np.diff(played.notes["onset_seconds"]) >= -1e-9).all()
    assert 0.9 < played.seconds / piece.seconds < 1.2  # about as long as written
    assert 10 < np.ptp(played.notes["velocity"]) < 70 and np.ptp(piece.notes["velocity"]) == 0


def test_amount_and_seed(piece: Score) -> None:
    assert humanise(piece, 0.0) is piece
    one, two, other = (humanise(piece, random_seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.notes, two.notes) and not np.array_equal(one.notes, other.notes)
    half, much = (humanise(piece, a, random_seed=1) for a in (0.5, 2.0))
    assert np.std(half.notes["velocity"]) < np.std(one.notes["velocity"]) < np.std(much.notes["velocity"])


def test_the_melody_is_louder_and_leads(piece: Score) -> None:
    played = humanise(piece, random_seed=3)
    upper, lower = (played.notes[played.notes["pitch"] >= 60], played.notes[played.notes["pitch"] < 60])
    assert upper["velocity"].mean() > lower["velocity"].mean() + 5
    at_bars = [(u, low) for u in upper for low in lower if abs(u["onset"] - low["onset"]) < 0.2 and low["onset"] > 1]
    leads = np.mean([low["onset_seconds"] - u["onset_seconds"] for u, low in at_bars])
    assert len(at_bars) > 20 and 0.01 < leads < 0.03


def test_phrases_end_where_the_melody_rests(piece: Score) -> None:
    assert phrase_starts(piece).tolist() == [0.0, 16.0, 32.0]  # the last eight bars are one


def test_phrases_are_arches_and_the_end_slows_down(piece: Score) -> None:
    starts = phrase_starts(piece)
    begin, middle = tempo_rules(piece, starts, np.array([16.0, 24.0]))
    assert begin < 1 < middle
    end = tempo_rules(piece, starts, np.array([float(piece.notes["onset"].max())]))[0]
    assert 0.5 < end < 0.75
    said = velocity_rules(piece, starts)
    assert abs(said.mean()) < 1e-9 and said.shape == (len(piece),)


def test_what_cannot_be_played(piece: Score) -> None:
    with pytest.raises(FugatoError, match="between 0 and 3"):
        humanise(piece, 4.0)
    with pytest.raises(FugatoError, match="between 0 and 3"):
        humanise(piece, math.nan)
    with pytest.raises(FugatoError, match="no notes"):
        humanise(Score.from_notes([], [], []))
    free = Score.from_notes(
        piece.notes["onset"] * 1.0371 + 0.013, piece.notes["duration"], piece.notes["pitch"], beats="default"
    )
    with pytest.raises(FugatoError, match="without beats"):
        humanise(free)


def test_midi_is_played_and_notation_written(piece: Score, tmp_path) -> None:  # type: ignore[no-untyped-def]
    made = Composition(piece, {"new_bars": [1, 16]}, {"humanise": 1.0, "random_seed": 5})
    midi = fugato.read(fugato.write(made, tmp_path / "a.mid"))
    notation = fugato.read(fugato.write(made, tmp_path / "a.musicxml"))
    assert len(midi) == len(notation) == len(piece)
    assert np.ptp(midi.notes["velocity"]) > 10 and len(midi.tempos) > 16
    assert np.allclose(notation.notes["onset"], piece.notes["onset"])
    plain = Composition(piece, {"new_bars": [1, 16]}, {"humanise": 0.0, "random_seed": 5})
    assert plain.played is piece
