"""Small files, built byte by byte, for the tests of the readers."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence

END = b"\x00\xff\x2f\x00"


def vlq(value: int) -> bytes:
    """A variable-length quantity of Standard MIDI Files."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | (value & 0x7F))
    return bytes(reversed(out))


def note(pitch: int, ticks: int, *, wait: int = 0, velocity: int = 64, channel: int = 0) -> bytes:
    """A note-on after `wait` ticks and its note-off `ticks` later."""
    on = vlq(wait) + bytes([0x90 | channel, pitch, velocity])
    return on + vlq(ticks) + bytes([0x80 | channel, pitch, 0])


def meta(kind: int, data: bytes, *, wait: int = 0) -> bytes:
    return vlq(wait) + bytes([0xFF, kind]) + vlq(len(data)) + data


def chunk(data: bytes, *, name: bytes = b"MTrk", length: int | None = None) -> bytes:
    return name + struct.pack(">I", len(data) if length is None else length) + data


def midi(*tracks: bytes, division: int = 480, form: int = 1, declared: int | None = None) -> bytes:
    """A MIDI file of tracks without their end marks, which are added."""
    return header(len(tracks) if declared is None else declared, division, form) + b"".join(
        chunk(t + END) for t in tracks
    )


def header(tracks: int, division: int = 480, form: int = 1) -> bytes:
    return b"MThd" + struct.pack(">IHHh", 6, form, tracks, division)


def scale(*, ticks: int = 480, pitches: Sequence[int] = (60, 62, 64, 65)) -> bytes:
    return b"".join(note(p, ticks) for p in pitches)


def musicxml(*measures: str, part_list: str = "", head: str = "", more: str = "") -> bytes:
    """A one-part MusicXML document; the first measure gets four divisions to the quarter."""
    listed = part_list or '<score-part id="P1"><part-name>Oboe</part-name></score-part>'
    body = "".join(
        f'<measure number="{i}">{"<attributes><divisions>4</divisions></attributes>" if i == 1 else ""}{m}</measure>'
        for i, m in enumerate(measures, 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">\n'
        f'<score-partwise version="4.0">{head}<part-list>{listed}</part-list><part id="P1">{body}</part>{more}'
        "</score-partwise>"
    ).encode()


def xml_note(step: str, octave: int = 4, duration: int = 4, *, alter: int = 0, more: str = "", before: str = "") -> str:
    """A MusicXML note; `before` is chord or grace, `more` what follows the duration."""
    length = "" if "grace" in before else f"<duration>{duration}</duration>"
    return f"<note>{before}<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>{length}{more}</note>"


def mxl(document: bytes, *, name: str = "score.xml", container: bool = True) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if container:
            inside = f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles></container>'
            archive.writestr("META-INF/container.xml", inside)
        archive.writestr(name, document)
    return out.getvalue()


KERN = """!!!COM: Bach, Johann Sebastian
!!!OTL: A short chorale
**kern\t**kern
*M4/4\t*M4/4
*k[f#]\t*k[f#]
*MM96\t*MM96
4G\t4d
=1\t=1
2G\t4b
.\t4b
2D\t[2a
=2\t=2
1G\t4a]
.\tqg
.\t2.b
==\t==
*-\t*-
"""

ABC = """X:1
T:The first
C:Trad.
M:3/4
L:1/4
Q:1/4=90
K:G
D | G2 A | B2 c | d3 |]
"""

ABC_VOICES = """X:1
T:Two voices
M:4/4
L:1/4
V:S name="Soprano"
V:B name="Bass"
K:C
[V:S] c d e f | g4 |]
[V:B] C2 G,2 | C4 |]
"""
