"""Standard MIDI Files: what a musician would expect to be read, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fugato.errors import FugatoError
from fugato.read import Limits, read
from fugato.score import Key, Meter, Score, Tempo

from .read_files import END, chunk, header, meta, midi, note, scale, vlq


def rows(score: Score) -> list[tuple[float, float, int]]:
    return [(float(n["onset"]), float(n["duration"]), int(n["pitch"])) for n in score.notes]


def refused(data: bytes, **options: object) -> FugatoError:
    with pytest.raises(FugatoError) as caught:
        read(data, **options)  # type: ignore[arg-type]
    return caught.value


SCALE = [(0.0, 1.0, 60), (1.0, 1.0, 62), (2.0, 1.0, 64), (3.0, 1.0, 65)]


def test_a_header_that_announces_no_track_and_has_none_is_empty() -> None:
    for data in (header(0), header(0) + b"\0" * 5, header(0)[:4] + b"\0\0\0\0" + header(0)[8:]):
        assert refused(data, sandbox=False).kind == "empty"


def test_a_scale_is_four_quarter_notes_in_one_bar() -> None:
    score = read(midi(scale()))
    assert rows(score) == SCALE
    assert score.bars.tolist() == [0.0]
    assert score.format == "midi"
    assert score.beats == "notated"
    assert score.ticks_per_quarter == 480
    assert score.warnings == ()


def test_seconds_follow_the_tempo_and_beats_do_not() -> None:
    slow = meta(0x51, (1_000_000).to_bytes(3, "big"))
    score = read(midi(slow + scale()))
    assert score.tempos == (Tempo(0.0, 60.0),)
    assert score.notes["onset_seconds"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert rows(score) == SCALE


def test_leading_silence_is_kept() -> None:
    assert rows(read(midi(note(60, 480, wait=960))))[0][0] == 2.0


def test_meters_and_keys_are_read_and_repetitions_dropped() -> None:
    track = meta(0x58, b"\x03\x02\x18\x08") + meta(0x59, b"\xfd\x01")
    track += note(60, 1440) + meta(0x58, b"\x03\x02\x18\x08") + note(62, 1440)
    score = read(midi(track))
    assert score.meters == (Meter(0.0, 3, 4),)
    assert score.keys == (Key(0.0, -3, "minor"),)
    assert score.bars.tolist() == [0.0, 3.0]


def test_a_meter_change_that_narrowly_misses_the_bar_line_is_moved_onto_it() -> None:
    track = note(60, 1921) + meta(0x58, b"\x03\x02\x18\x08") + note(62, 1440)
    assert read(midi(track)).meters == (Meter(0.0, 4, 4), Meter(4.0, 3, 4))


def test_a_meter_change_within_a_bar_starts_a_new_bar() -> None:
    track = note(60, 960) + meta(0x58, b"\x03\x02\x18\x08") + note(62, 2880)
    assert read(midi(track)).bars.tolist() == [0.0, 2.0, 5.0]


def test_every_channel_of_a_track_is_a_part_and_channel_10_is_percussion() -> None:
    track = meta(0x03, b"Band") + b"\x00\xc0\x28" + note(60, 480) + note(36, 480, channel=9)
    score = read(midi(track))
    assert [(p.name, p.program, p.drum) for p in score.parts] == [("Band", 40, False), ("Band", 0, True)]
    assert score.notes["drum"].tolist() == [False, True]
    assert score.title == "Band"


def test_a_file_of_percussion_alone_is_read() -> None:
    score = read(midi(note(36, 480, channel=9)))
    assert len(score) == 1
    assert len(score.pitched) == 0


def test_note_on_with_velocity_zero_ends_the_note() -> None:
    track = b"\x00\x90\x3c\x40" + vlq(240) + b"\x3c\x00"  # running status
    assert rows(read(midi(track))) == [(0.0, 0.5, 60)]


def test_two_voices_on_one_key_are_paired_in_the_order_in_which_they_start() -> None:
    on, off = bytes([0x90, 60, 64]), bytes([0x80, 60, 0])
    track = b"\x00" + on + vlq(480) + on + vlq(480) + off + vlq(480) + off
    assert rows(read(midi(track))) == [(0.0, 2.0, 60), (1.0, 2.0, 60)]


def test_a_key_struck_again_without_release_ends_there() -> None:
    on, off = bytes([0x90, 60, 64]), bytes([0x80, 60, 0])
    track = b"\x00" + on + vlq(480) + on + vlq(480) + off
    assert rows(read(midi(track))) == [(0.0, 1.0, 60), (1.0, 1.0, 60)]


def test_a_release_without_a_note_is_nothing() -> None:
    assert rows(read(midi(b"\x00\x80\x3c\x40" + scale()))) == SCALE


def test_a_note_that_never_ends_gets_a_whole_note_at_most() -> None:
    score = read(midi(b"\x00\x90\x3c\x40" + note(62, 480 * 8)))
    assert rows(score)[0] == (0.0, 4.0, 60)
    assert "never end" in score.warnings[0]


def test_a_note_without_length_gets_a_thirty_second() -> None:
    assert rows(read(midi(note(60, 0) + note(62, 480)))) == [(0.0, 0.125, 60), (0.0, 1.0, 62)]


def test_tracks_of_format_2_follow_one_another() -> None:
    score = read(midi(note(60, 480), note(62, 480), form=2))
    assert rows(score) == [(0.0, 1.0, 60), (1.0, 1.0, 62)]
    assert "Format 2" in score.warnings[0]


def test_film_time_is_read_as_quarters_at_120() -> None:
    score = read(midi(note(60, 1000), division=-(25 << 8) + 40))  # 25 frames of 40 ticks: milliseconds
    assert rows(score) == [(0.0, 2.0, 60)]
    assert score.notes["duration_seconds"].tolist() == [1.0]
    assert score.beats == "default"
    assert score.ticks_per_quarter is None


# -- mended ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"RIFF" + (30).to_bytes(4, "little") + b"RMIDdata" + (9999).to_bytes(4, "little") + midi(scale()), ""),
        (bytes(128) + midi(scale()), "MacBinary"),
        (b"From: a friend\r\n\r\n" + midi(scale()), "before the MIDI header"),
        (midi(scale(), declared=3), "announces 3 tracks"),
        (header(1) + chunk(b"x" * 7, name=b"XFIH") + chunk(scale() + END), "no track"),
        (header(1) + chunk(scale() + END, length=9999), "wrong length"),
        (header(1) + chunk(scale() + END, length=7) + b"", "wrong length"),
        (header(1) + chunk(scale()), "no end mark"),
        (header(1) + chunk(scale() + END + b"\x00\x90\x3c\x40"), "after its end mark"),
        (header(1) + chunk(note(60, 480) + END + scale()[9:] + END), "in its middle"),
        (header(2) + chunk(scale() + END, length=3) + chunk(END), "wrong length"),
        (midi(scale()) + b"\x1a" * 5, "after the last track"),
        (midi(scale() + b"\x00\xf8"), "System messages"),
        (midi(scale(), form=7), "format 7"),
        (midi(meta(0x51, b"\0\0\0") + scale()), "tempo of zero"),
        (midi(meta(0x58, b"\0\x02\x18\x08") + scale()), "time signature"),
        (midi(meta(0x59, b"\x09\x00") + scale()), "key signature"),
        (midi(b"\x00\x90\x3c\x40" + meta(1, b"la") + vlq(480) + b"\x3c\x00" + scale()[9:]), "Running status"),
    ],
)
def test_what_can_be_understood_is_read_and_the_mending_named(data: bytes, word: str) -> None:
    score = read(data)
    assert rows(score) == SCALE
    assert word in " ".join(score.warnings)
    assert bool(score.warnings) == bool(word)


def test_a_velocity_over_127_is_lowered_and_a_pitch_over_127_left_out() -> None:
    track = scale() * 4 + b"\x00\x90\x3c\xb0" + vlq(480) + b"\x80\x3c\x00" + b"\x00\x90\x90\x40" + b"\x00\xc0\x00"
    score = read(midi(track))
    assert len(score) == 17
    assert score.notes["velocity"].max() == 127
    assert "over 127" in score.warnings[0]


def test_a_track_that_is_cut_off_keeps_its_notes() -> None:
    whole = midi(scale() * 4)
    score = read(whole[:-25])
    assert 11 <= len(score) < 16
    assert "cut off" in score.warnings[0]


def test_reading_goes_on_behind_damaged_bytes() -> None:
    track = scale() * 4 + b"\x00\xf4\xf5\xf4\xf5" + scale() * 4
    score = read(midi(track))
    assert len(score) == 32
    assert "left out" in score.warnings[0]


def test_an_absurd_leap_in_a_damaged_track_ends_it() -> None:
    track = scale() * 8 + b"\x00\xf4" + scale() * 3 + note(60, 480, wait=200_000_000)
    score = read(midi(track))
    assert score.end < 100
    assert "leaps" in " ".join(score.warnings)


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (midi(END), "empty"),
        (midi(meta(0x03, b"Silence")), "empty"),
        (b"Dear Sir, please find my sonata enclosed.", "not-music"),
        (bytes(range(256)) * 8, "not-music"),
        (b"MThd\x00\x00", "corrupt"),
        (midi(scale(), division=0), "corrupt"),
        (midi(scale(), division=-(25 << 8)), "corrupt"),
        (midi(scale(), division=-(17 << 8) + 40), "corrupt"),
        (header(3), "corrupt"),
        (chunk(scale() + END), "corrupt"),
        (midi(b"\x00\xf4" + b"\xf4" * 400), "corrupt"),
        (midi(b"\x00\x90\x3c\xb0" * 20), "corrupt"),
        (b"SMF2CLIP" + bytes(40), "unsupported"),
        (b"\xf0\x7e\x7f\x06\x01\xf7", "unsupported"),
        (midi(*[note(60, 480, wait=0x0FFFFFFF)] * 1, division=1), "too-large"),
    ],
)
def test_the_rest_is_refused_by_kind(data: bytes, kind: str) -> None:
    error = refused(data, name="some.mid")
    assert error.kind == kind
    assert error.input == "some.mid"


def test_limits_are_named() -> None:
    data = midi(scale() * 10, scale())
    assert "300" not in str(refused(data, limits=Limits(notes=20)))
    assert refused(data, limits=Limits(notes=20)).kind == "too-large"
    assert refused(data, limits=Limits(events=20)).kind == "too-large"
    assert refused(data, limits=Limits(tracks=1)).kind == "too-large"
    assert refused(data, limits=Limits(midi_bytes=100)).kind == "too-large"
    assert refused(data, limits=Limits(quarters=10)).kind == "too-large"


def test_a_file_longer_than_one_block_of_the_walk_is_read_whole() -> None:
    pitches = np.random.default_rng(3).integers(20, 100, 20_000)
    score = read(midi(b"".join(note(int(p), 30) for p in pitches)))
    assert score.notes["pitch"].tolist() == pitches.tolist()
    assert score.notes["onset"].tolist() == (np.arange(20_000) / 16).tolist()
