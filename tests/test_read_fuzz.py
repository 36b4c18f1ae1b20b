"""Any bytes at all are a Score or a FugatoError, and a Score is always well formed."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fugato.errors import FugatoError
from fugato.read import Limits, read
from fugato.read.sniff import sniff

from .read_files import END, chunk, header, meta, midi, musicxml, note, scale, xml_note

RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WHOLE = midi(
    meta(0x51, b"\x07\xa1\x20") + meta(0x58, b"\x03\x02\x18\x08") + meta(0x59, b"\xff\x00") + meta(3, b"Air"),
    scale() * 5 + note(60, 10_000, wait=300),
    b"\x00\xc0\x28" + note(40, 100, channel=9) * 4 + b"\x00\xf0\x03\x7e\x7f\xf7",
)
DOCUMENT = musicxml(
    xml_note("C")
    + xml_note("E", before="<chord/>")
    + "<backup><duration>4</duration></backup>"
    + xml_note("G", duration=9),
    xml_note("D", before="<grace/>") + xml_note("C", more='<tie type="start"/>'),
)


def check(data: bytes, name: str | None = None) -> str:
    """Read it ("read"), or refuse it (the kind); nothing else."""
    try:
        score = read(data, name=name, sandbox=False, limits=Limits(notes=5_000, tracks=50))
    except FugatoError as e:
        assert "make no sense (" not in e.message, f"a reader stumbled: {e.message}"
        return e.kind
    notes = score.notes
    assert len(notes)
    for column in ("onset", "duration", "onset_seconds", "duration_seconds"):
        assert np.isfinite(notes[column]).all()
    assert (notes["onset"] >= 0).all()
    assert (notes["duration"] > 0).all()
    assert (np.diff(notes["onset"]) >= 0).all()
    assert notes["pitch"].max() < 128
    assert 1 <= notes["velocity"].min() <= notes["velocity"].max() <= 127
    assert notes["part"].max() < len(score.parts)
    assert len(score.bars)
    assert (np.diff(score.bars) > 0).all()
    assert score.tempos[0].onset <= 0
    assert score.meters[0].onset <= 0
    assert type(score).from_bytes(score.to_bytes()).notes.tobytes() == notes.tobytes()
    return "read"


def damage(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Cut `n` bytes at a place and put others there."""
    for place, n, insert in edits:
        at = place % (len(data) + 1)
        data = data[:at] + insert + data[at + n :]
    return data


EDITS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 4), st.binary(max_size=4)), min_size=1, max_size=6)


@RELAXED
@given(EDITS)
def test_a_damaged_midi_file_is_read_or_refused(edits: list[tuple[int, int, bytes]]) -> None:
    check(damage(WHOLE, edits))


@RELAXED
@given(st.binary(max_size=300), st.integers(-32_768, 32_767), st.integers(0, 3), st.integers(0, 400))
def test_any_track_is_read_or_refused(track: bytes, division: int, form: int, length: int) -> None:
    check(header(1, division, form) + chunk(track, length=length) + chunk(scale() + END))


@RELAXED
@given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 2_000), st.integers(0, 500), st.integers(0, 15))))
def test_any_notes_come_back_as_they_were_written(notes: list[tuple[int, int, int, int]]) -> None:
    if not notes:
        return
    score = read(midi(b"".join(note(p, t, wait=w, channel=c) for p, t, w, c in notes), division=480))
    onset, expected = 0, []
    for pitch, ticks, wait, channel in notes:
        onset += wait
        expected.append((onset, pitch, ticks or 60, channel == 9))
        onset += ticks
    got = [(n["onset"] * 480, int(n["pitch"]), n["duration"] * 480, bool(n["drum"])) for n in score.notes]
    assert sorted((round(a), b, round(c), d) for a, b, c, d in got) == sorted(expected)
    assert score.warnings == ()


@RELAXED
@given(EDITS)
def test_a_damaged_musicxml_document_is_read_or_refused(edits: list[tuple[int, int, bytes]]) -> None:
    check(damage(DOCUMENT, edits))


@RELAXED
@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)),
    st.sampled_from(["a.mid", "a.krn", "a.abc"]),
)
def test_any_bytes_have_a_format_or_are_refused(data: bytes, name: str) -> None:
    try:
        assert sniff(data, name).format in {"midi", "musicxml", "mxl", "kern", "abc"}
    except FugatoError:
        pass
