"""Limits: how much of a file is looked at before it is refused.

Every number is checked as early as it can be known: bytes before anything is parsed, expansion before anything is
unpacked, notes while they are counted. What goes over one is refused with the kind ``too-large`` (or ``timeout``) and
the limit is named.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    The defaults hold a whole opera act and stop well under 500 MB and 20 seconds.
    """

    midi_bytes: int = 16_000_000  # a Standard MIDI File; the largest of 20,000 real ones has 0.6 MB
    text_bytes: int = 50_000_000  # MusicXML (unpacked), kern, ABC
    xml_tags: int = 3_000_000  # opening and closing ones, in MusicXML
    tracks: int = 1_024  # track chunks of a MIDI file
    events: int = 1_500_000  # MIDI events of all kinds
    notes: int = 300_000  # the longest act of Wagner has about 100,000; "black MIDI" has millions
    quarters: float = 100_000.0  # length of the piece in quarter notes: 14 hours at 120 to the minute
    zip_members: int = 100  # files in a .mxl
    zip_ratio: float = 200.0  # unpacked bytes over packed bytes of a .mxl; real scores lie between 10 and 40
    seconds: float = (
        20.0  # processor time of one file in the worker, its analysis included; by the clock four times as long
    )
    memory: int = 2_000_000_000  # bytes that a worker may hold, where the platform can say so


DEFAULT_LIMITS = Limits()
