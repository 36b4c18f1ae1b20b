"""The stream knows the music and nothing of how it was written down or played."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fugato.read import read
from fugato.represent import Stream, stream
from fugato.represent.stream import NOTATED_SPREAD, cluster_onsets
from fugato.score import Score, Tempo

from .music_files import midi_of
from .music_styles import COMPOSERS, merged, musicxml_of, performed, styled

PIECES = [styled(composer, seed) for composer in COMPOSERS for seed in (100, 101)]


def same(a: Stream, b: Stream, *, by: int = 0) -> bool:
    """Whether two streams are one, `by` semitones apart; notes that start together may stand in any order."""
    exact = [(a.top + by, b.top), (a.bass + by, b.bass), (a.chord, b.chord), (a.size, b.size), (a.bar, b.bar)]
    exact.append((np.roll(a.pitch_classes, by), b.pitch_classes))
    exact.append((a.event_of_note, b.event_of_note))
    exact.append((a.sounding, b.sounding))
    near = [(a.onset, b.onset), (a.top_length, b.top_length), (a.bass_length, b.bass_length), (a.lengths, b.lengths)]
    return (
        len(a) == len(b)
        and all(np.array_equal(x, y) for x, y in exact)
        and all(np.allclose(x, y, atol=1e-3) for x, y in near)
    )


@pytest.mark.parametrize("semitones", [-5, -1, 3, 6])
def test_a_transposed_piece_has_the_same_stream_so_much_higher(semitones: int) -> None:
    for piece in PIECES:
        assert same(stream(piece), stream(piece.transpose(semitones)), by=semitones)


@pytest.mark.parametrize("factor", [0.5, 0.9, 2.0])
def test_tempo_does_not_matter(factor: float) -> None:
    for piece in PIECES:
        faster = Score.from_notes(
            piece.notes["onset"], piece.notes["duration"], piece.notes["pitch"], tempos=[Tempo(0.0, 120 * factor)]
        )
        assert faster.seconds == pytest.approx(piece.seconds / factor)
        assert same(stream(piece), stream(faster)) and same(stream(piece), stream(piece.change_tempo(factor)))


def test_velocities_and_tracks_do_not_matter() -> None:
    for piece in PIECES:
        loud = piece.notes.copy()
        loud["velocity"] = np.random.default_rng(0).integers(1, 128, len(loud))
        assert same(stream(piece), stream(replace(piece, notes=loud)))
        four = read(midi_of(piece, tracks=4, velocities=(20, 100)))
        assert len(four.parts) == 4 and len(merged(four).parts) == 1
        assert same(stream(piece), stream(four)) and same(stream(piece), stream(merged(four)))


@pytest.mark.parametrize("ticks", [24, 96, 480, 1024])
def test_ticks_do_not_matter(ticks: int) -> None:
    for piece in PIECES:
        assert same(stream(piece), stream(read(midi_of(piece, ticks=ticks))))


def test_midi_and_musicxml_of_a_piece_have_the_same_stream() -> None:
    for piece in PIECES:
        from_midi, from_xml = read(midi_of(piece)), read(musicxml_of(piece), name="piece.musicxml")
        assert (from_midi.format, from_xml.format) == ("midi", "musicxml")
        assert same(stream(from_midi), stream(from_xml)) and same(stream(piece), stream(from_xml))


def test_drums_are_left_out() -> None:
    piece = PIECES[0]
    beats = np.arange(0, 60, 0.5)
    n = piece.notes
    with_drums = Score.from_notes(
        np.concatenate([n["onset"], beats]),
        np.concatenate([n["duration"], np.full(len(beats), 0.1)]),
        np.concatenate([n["pitch"], np.full(len(beats), 38)]),
        drum=np.arange(len(n) + len(beats)) >= len(n),
    )
    assert len(with_drums) == len(piece) + len(beats)
    assert same(stream(piece), stream(with_drums))
    only = Score.from_notes(beats, np.full(len(beats), 0.1), np.full(len(beats), 38), drum=True)
    assert len(stream(only)) == 0


def test_an_empty_score_has_an_empty_stream() -> None:
    nothing = stream(Score.from_notes([], [], []))
    assert len(nothing) == 0 and nothing.top.shape == nothing.chord.shape == nothing.event_of_note.shape == (0,)
    assert nothing.pitch_classes.tolist() == [0.0] * 12


def test_an_event_is_what_starts_together() -> None:
    score = Score.from_notes([0, 0, 0, 0, 1, 2, 2], [1] * 7, [48, 64, 67, 67, 72, 50, 65])
    events = stream(score)
    assert events.onset.tolist() == [0, 1, 2]
    assert events.bass.tolist() == [48, 72, 50] and events.top.tolist() == [67, 72, 65]
    assert events.size.tolist() == [3, 1, 2], "a pitch that two voices share counts once"
    assert events.chord.tolist() == [1 | 1 << 4 | 1 << 7, 1, 1 | 1 << 3], "C major, then C alone, then a minor third"
    assert events.event_of_note.tolist() == [0, 0, 0, 0, 1, 2, 2]


def test_held_notes_sound_on_and_lengths_are_those_of_the_outer_voices() -> None:
    score = Score.from_notes([0, 0, 1, 2, 2], [4, 0.5, 1, 1, 2], [48, 72, 71, 52, 69])
    events = stream(score)
    assert events.sounding.tolist() == [2, 2, 3], "the bass is held under the other two"
    assert events.bass_length.tolist() == [4, 1, 1] and events.top_length.tolist() == [0.5, 1, 2]
    assert sorted(events.lengths.tolist()) == [0.5, 1, 1, 2, 4]


def test_written_ornaments_stay_apart_and_rolled_chords_together() -> None:
    assert cluster_onsets(np.array([0, 1 / 16, 1 / 8]), notated=True).tolist() == [0, 1, 2], "64ths"
    assert cluster_onsets(np.array([0, 0.02, 0.04, 1.0]), notated=True).tolist() == [0, 0, 0, 1]
    run = np.arange(40) * NOTATED_SPREAD / 2
    assert np.bincount(cluster_onsets(run, notated=True)).max() <= 3, "a fast run is no chord"


@pytest.mark.parametrize("composer", COMPOSERS)
def test_a_performance_has_about_the_events_of_its_score(composer: str) -> None:
    for seed in (100, 101, 102):
        score = styled(composer, seed)
        played = stream(performed(score, seed))
        assert len(played) == pytest.approx(len(stream(score)), rel=0.1)


def test_playing_everything_twice_as_fast_changes_no_event_of_a_performance() -> None:
    for piece in PIECES:
        played = performed(piece)
        n = played.notes
        faster = Score.from_notes(n["onset"] / 2, n["duration"] / 2, n["pitch"], beats="default")
        a, b = stream(played), stream(faster)
        assert np.array_equal(a.event_of_note, b.event_of_note) and np.array_equal(a.chord, b.chord)
