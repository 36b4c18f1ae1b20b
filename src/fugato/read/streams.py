"""music21 streams -> Score, for ABC, which music21 parses, and for the comparisons in the tests.

Walks parts, measures and voices once, without flattening or copying: bars are where the measures start, so a pickup
or an irregular bar of the print is kept. Imported in a worker only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from music21 import chord, harmony, instrument, key, meter, note, percussion, stream, tempo

from fugato.errors import FugatoError
from fugato.read.limits import Limits
from fugato.read.rows import Rows
from fugato.score import Key, Meter, Part, Score, Tempo

UNPITCHED: Final = 38  # key of an unpitched note of which nothing else is known: the snare drum of General MIDI


def score_of_streams(
    pieces: Sequence[Any], form: str, limits: Limits, names: Sequence[str] = (), **facts: Any
) -> Score:
    """Score of music21 Scores that sound together.

    Parameters
    ----------
    pieces : sequence of music21 streams
        One, or one a voice.
    names : sequence of str
        Names of the parts, where the text knows them better than music21.
    facts
        Title, composer and warnings.
    """
    rows = Rows(limits)
    starts: list[float] = []
    parts = [part for piece in pieces for part in (list(piece.parts) or [piece])]
    for index, part in enumerate(parts):
        about = _part(part)
        rows.parts.append(about._replace(name=names[index]) if index < len(names) and names[index] else about)
        measures = list(part.getElementsByClass(stream.Measure))
        offsets = [float(part.elementOffset(m)) for m in measures]
        if len(offsets) > len(starts):
            starts = offsets
        for measure, offset in zip(measures, offsets, strict=True):
            _measure(measure, offset, index, rows)
        _marks(part, 0.0, rows)
        if not measures:
            _voice(part, 0.0, index, 0, rows)
    for piece in pieces:
        _marks(piece, 0.0, rows)
    return rows.score(form, starts or None, **facts)


def _part(part: Any) -> Part:
    found = next(iter(part.recurse().getElementsByClass(instrument.Instrument)), None)
    name = part.partName or (found.instrumentName if found else None) or ""
    program = found.midiProgram if found and found.midiProgram is not None else 0
    return Part(str(name), program, isinstance(found, instrument.UnpitchedPercussion))


def _measure(measure: Any, offset: float, part: int, rows: Rows) -> None:
    _marks(measure, offset, rows)
    voices = list(measure.getElementsByClass(stream.Voice))
    _voice(measure, offset, part, 0, rows)
    for number, voice in enumerate(voices, 1):
        start = offset + float(measure.elementOffset(voice))
        _marks(voice, start, rows)
        _voice(voice, start, part, number, rows)


def _marks(container: Any, offset: float, rows: Rows) -> None:
    """Tempos, meters and keys that stand directly in a stream."""
    for element in container.getElementsByClass((tempo.MetronomeMark, meter.TimeSignature, key.KeySignature)):
        onset = offset + float(container.elementOffset(element))
        if isinstance(element, tempo.MetronomeMark):
            if element.number is not None and not element.numberImplicit:
                rows.tempos.append(Tempo(onset, float(element.getQuarterBPM())))
        elif isinstance(element, meter.TimeSignature):
            rows.meters.append(Meter(onset, element.numerator, element.denominator))
        else:
            mode = element.mode if isinstance(element, key.Key) else ""
            rows.keys.append(Key(onset, max(-7, min(7, element.sharps)), mode if mode in ("major", "minor") else ""))


def _voice(voice: Any, offset: float, part: int, number: int, rows: Rows) -> None:
    """The notes and chords of one voice."""
    for element in voice.getElementsByClass(note.GeneralNote):
        if isinstance(element, (note.Rest, harmony.Harmony)):
            continue
        onset = offset + float(voice.elementOffset(element))
        length = float(element.duration.quarterLength)
        grace = bool(element.duration.isGrace) or length == 0
        if isinstance(element, (chord.Chord, percussion.PercussionChord)):
            members = list(element.notes)
        elif isinstance(element, (note.Note, note.Unpitched)):
            members = [element]
        else:
            continue
        sounding = []
        for member in members:
            tie = member.tie  # a chord answers with that of any of its notes
            drum = isinstance(member, note.Unpitched)
            pitch = UNPITCHED if drum else round(float(member.pitch.ps))
            velocity = element.volume.velocity if element.volume.velocity else None
            sounding.append((pitch, drum, tie.type if tie else "", velocity))
        if grace:
            rows.grace((part, number), onset, [(p, d) for p, d, _, _ in sounding], part)
        else:
            for pitch, drum, tie_type, velocity in sounding:
                rows.note(
                    onset,
                    length,
                    pitch,
                    part,
                    drum=drum,
                    velocity=velocity,
                    tied_from=tie_type in ("stop", "continue"),
                    tied_to=tie_type in ("start", "continue"),
                )
            rows.settle((part, number), onset)


def check(piece: Any) -> None:
    """Refuse what music21 read as something without parts."""
    if not isinstance(piece, stream.Stream):
        raise FugatoError("corrupt", "No music could be made out in it.")
