"""Score -> MusicXML 4.0 (W3C Community Group, 2021), ``score-partwise``, and its compressed form .mxl.

A bar of the Score is a measure, a pickup or a shortened bar included; each voice fills its measures exactly, with rests that are seen
in the first voice and not seen in the others. Notes that cross a bar line, or that no single sign can write, are tied. Keyboards have
two staves. Pitches are written as they sound (no transposing instruments), spelt by `spelling`, with the signs that a reader needs.
Eighths and shorter are beamed by the beat. Every note carries its velocity, unless all have the usual one.

Times are those of the Score where notation has them (see `rhythm`); others, as a file played in has, are moved to the nearest.
A performance whose beats mean nothing is refused: it has no bars to write.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError
from ..score import DEFAULT_VELOCITY, Key, Score
from .beams import beams_of
from .instruments import NAMES, PERCUSSION, place_of
from .layout import Bar, Staves, Voice, layout
from .rhythm import CLOSE, Value, is_compound, on_grid
from .spelling import Name, accidental_of, altered_letters, estimate_key, spell
from .voices import VOICES, Stretch

FORTE: Final = 90  # MIDI velocity that the dynamics of 100 percent stand for
PRINTED: Final = 0.08  # share by which a tempo must differ from the last printed one to be printed
HALF: Final = Fraction(2)  # quarter notes
HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">\n'
    '<score-partwise version="4.0">\n'
)
CONTAINER: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles><rootfile full-path="score.musicxml" '
    'media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>\n'
)
MXL_TYPE: Final = "application/vnd.recordare.musicxml"


def musicxml_bytes(score: Score) -> bytes:
    """A whole MusicXML document.

    Parameters
    ----------
    score : Score
        With notated beats.

    Returns
    -------
    bytes
        UTF-8; the same for the same Score.

    Raises
    ------
    FugatoError
        ``empty`` for a Score without notes, ``unsupported`` for a performance without beats.
    """
    if not len(score):
        raise FugatoError("empty", "There are no notes in it to write.")
    if score.beats != "notated":
        raise FugatoError(
            "unsupported",
            "It is a performance without beats, so there are no bars to write it in. Write it as .mid or .wav.",
        )
    paper = layout(score)
    lengths = {
        value.length for part in paper.voices for bar in part for voices in bar for v in voices for value in v.values
    }
    lengths.update(bar.length for bar in paper.bars)
    divisions = int(np.lcm.reduce(np.array([t.denominator for t in lengths])))
    keys, names = list(score.keys) or [estimate_key(score)], spell(score)
    loud = None if (score.notes["velocity"] == DEFAULT_VELOCITY).all() else score.notes["velocity"]
    lines = [HEAD, *_header(score), "<part-list>\n", *(t for p in paper.parts for t in _listed(p)), "</part-list>\n"]
    for part, measures in zip(paper.parts, paper.voices, strict=True):
        tempos = _tempos(score, paper.bars) if part is paper.parts[0] else {}
        lines.append(f'<part id="{part.id}">\n')
        before: Key | None = None
        for bar, staves in zip(paper.bars, measures, strict=True):
            key = next((k for k in reversed(keys) if k.onset <= float(bar.start) + CLOSE), keys[0])
            at = (bar is paper.bars[0], bar is paper.bars[-1])
            measure = Measure(part, bar, key, key is not before, *at, staves, names, loud, divisions)
            lines.extend(measure.lines(tempos.get(bar.number, ())))
            before = key
        lines.append("</part>\n")
    lines.append("</score-partwise>\n")
    return "".join(lines).encode()


def mxl_bytes(score: Score) -> bytes:
    """A compressed MusicXML file; parameters and errors as in `musicxml_bytes`."""
    document = musicxml_bytes(score)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data, packed in (
            ("mimetype", MXL_TYPE.encode(), zipfile.ZIP_STORED),
            ("META-INF/container.xml", CONTAINER.encode(), zipfile.ZIP_DEFLATED),
            ("score.musicxml", document, zipfile.ZIP_DEFLATED),
        ):
            archive.writestr(zipfile.ZipInfo(name), data, packed)  # a fixed date: the same piece is the same file
    return out.getvalue()


# -- the parts ---------------------------------------------------------------------------------------------------------


def _header(score: Score) -> Iterator[str]:
    if score.title:
        yield f"<work><work-title>{_text(score.title)}</work-title></work>\n"
    yield "<identification>"
    if score.composer:
        yield f'<creator type="composer">{_text(score.composer)}</creator>'
    yield "<encoding><software>Fugato</software></encoding></identification>\n"


def _listed(part: Staves) -> Iterator[str]:
    """The entry of a part in the list of parts."""
    name = part.part.name or (PERCUSSION if part.keys else NAMES[part.part.program])
    yield f'<score-part id="{part.id}"><part-name>{_text(name)}</part-name>'
    instruments = [f"{part.id}-I{key}" for key in part.keys] or [f"{part.id}-I1"]
    for one in instruments:
        yield f"<score-instrument id={quoteattr(one)}><instrument-name>{_text(name)}</instrument-name></score-instrument>"
    number = int(part.id[1:])
    channel = 10 if part.keys else [c for c in range(1, 17) if c != 10][(number - 1) % 15]
    for i, one in enumerate(instruments):
        yield f"<midi-instrument id={quoteattr(one)}><midi-channel>{channel}</midi-channel>"
        yield f"<midi-program>{part.part.program + 1}</midi-program>"
        if part.keys:
            yield f"<midi-unpitched>{part.keys[i] + 1}</midi-unpitched>"
        yield "</midi-instrument>"
    yield "</score-part>\n"


# -- a measure ---------------------------------------------------------------------------------------------------------


class Measure(NamedTuple):
    """One measure of one part, ready to be written."""

    part: Staves
    bar: Bar
    key: Key
    new_key: bool
    is_first: bool
    is_last: bool
    staves: Sequence[Sequence[Voice]]
    names: Sequence[Name]
    loud: NDArray[Any] | None
    divisions: int

    def lines(self, tempos: Sequence[tuple[Fraction, float, bool]]) -> Iterator[str]:
        """The element, with the tempos that it is given."""
        implicit = ' implicit="yes"' if self.bar.number == "0" else ""
        yield f'<measure number="{self.bar.number}"{implicit}>\n'
        yield from self._attributes()
        for offset, qpm, printed in tempos:
            yield _tempo(offset, qpm, printed, self.divisions, is_compound(self.bar.meter))
        started = False
        for staff, voices in enumerate(self.staves):
            signs = self._signs(voices)
            for voice in voices:
                if started:
                    yield f"<backup><duration>{self._count(self.bar.length)}</duration></backup>\n"
                started = True
                yield from self._voice(voice, staff, signs, alone=len(voices) == 1)
        if self.is_last:
            yield '<barline location="right"><bar-style>light-heavy</bar-style></barline>\n'
        yield "</measure>\n"

    def _count(self, length: Fraction) -> int:
        """A length in divisions."""
        return int(length * self.divisions)

    def _attributes(self) -> Iterator[str]:
        new_key = self.new_key and not self.part.keys
        if not (self.is_first or new_key or self.bar.is_new):
            return
        yield "<attributes>"
        if self.is_first:
            yield f"<divisions>{self.divisions}</divisions>"
        if new_key or (self.is_first and self.part.keys):
            mode = f"<mode>{self.key.mode}</mode>" if self.key.mode and not self.part.keys else ""
            yield f"<key><fifths>{0 if self.part.keys else self.key.sharps}</fifths>{mode}</key>"
        if self.bar.is_new:
            meter = self.bar.meter
            yield f"<time><beats>{meter.numerator}</beats><beat-type>{meter.denominator}</beat-type></time>"
        if self.is_first:
            clefs = self.part.clefs
            if len(clefs) > 1:
                yield f"<staves>{len(clefs)}</staves>"
            for number, clef in enumerate(clefs, 1):
                which = f' number="{number}"' if len(clefs) > 1 else ""
                octave = f"<clef-octave-change>{clef.octave}</clef-octave-change>" if clef.octave else ""
                yield f"<clef{which}><sign>{clef.sign}</sign><line>{clef.line}</line>{octave}</clef>"
        yield "</attributes>\n"

    def _signs(self, voices: Sequence[Voice]) -> set[int]:
        """Notes of a staff that need a sharp, flat or natural here, by the rules of the printed bar."""
        usual = altered_letters(self.key.sharps)
        state: dict[tuple[str, int], int] = {}
        needed = set()
        found = [n for v in voices for chord in v.events if chord is not None for n in chord.notes if not n.tied_from]
        for note in sorted(found, key=lambda n: (n.start, n.pitch)):
            name = self.names[note.note]
            place = (name.letter, name.octave)
            if state.get(place, usual.get(name.letter, 0)) != name.alter:
                needed.add(note.note)
                state[place] = name.alter
        return needed

    def _voice(self, voice: Voice, staff: int, signs: set[int], *, alone: bool) -> Iterator[str]:
        """The notes and rests of one voice; `alone` on its staff, its rests are always seen."""
        number = 4 * staff + voice.number + 1 if voice.number < VOICES else 8 * (staff + 1) + voice.number
        where = f"<voice>{number}</voice>"
        which = f"<staff>{staff + 1}</staff>" if len(self.staves) > 1 else ""
        silent = all(event is None for event in voice.events)
        hidden = "" if voice.number == 0 and (alone or not silent) else ' print-object="no"'
        if not voice.values:
            length = self._count(self.bar.length)
            yield f'<note{hidden}><rest measure="yes"/><duration>{length}</duration>{where}{which}</note>\n'
            return
        beams = beams_of(voice.values, [e is None for e in voice.events], self.bar.meter, self.bar.before)
        last = len(voice.values) - 1
        for i, value in enumerate(voice.values):
            chord = voice.events[value.event]
            duration = f"<duration>{self._count(value.length)}</duration>"
            sign = f"<type>{value.type}</type>" + "<dot/>" * value.dots
            brackets = _brackets(value)
            if chord is None:
                ends = f"<notations>{brackets}</notations>" if brackets else ""
                times = 1
                if self._may_be_stretched(value):
                    times, duration = int(value.length / HALF), f"<duration>{self._count(HALF)}</duration>"
                    sign = "<type>half</type>"
                yield f"<note{hidden}><rest/>{duration}{where}{sign}{_ratio(value)}{which}{ends}</note>\n" * times
                continue
            begins = i == 0 or voice.values[i - 1].event != value.event
            ends_here = i == last or voice.values[i + 1].event != value.event
            for k, note in enumerate(chord.notes):
                ties = [
                    *(["stop"] if note.tied_from or not begins else []),
                    *(["start"] if note.tied_to or not ends_here else []),
                ]
                marks = "".join(f'<tied type="{t}"/>' for t in ties) + (brackets if k == 0 else "")
                what, head = self._pitch(note)
                shown = note.note in signs and begins and not note.tied_from
                accidental = f"<accidental>{accidental_of(self.names[note.note].alter)}</accidental>" if shown else ""
                yield "".join(
                    (
                        f"<note{self._dynamics(note.note)}>",
                        "<chord/>" if k else "",
                        what,
                        duration,
                        *(f'<tie type="{t}"/>' for t in ties),
                        self._instrument(note),
                        where,
                        sign,
                        accidental,
                        _ratio(value),
                        head,
                        which,
                        beams[i] if k == 0 else "",
                        f"<notations>{marks}</notations>" if marks else "",
                        "</note>\n",
                    )
                )

    def _may_be_stretched(self, value: Value) -> bool:
        """Whether music21 (10.5) would make a whole rest as long as the bar, since another voice rests throughout. Not halves."""
        plain = value.type in ("whole", "breve") and not value.dots and value.tuplet is None
        other = any(not voice.values for voices in self.staves for voice in voices)
        return plain and other and value.length != self.bar.length

    def _pitch(self, note: Stretch) -> tuple[str, str]:
        """The pitch, or the place of percussion, and the notehead."""
        if self.part.keys:
            letter, octave, head = place_of(note.pitch)
            what = (
                f"<unpitched><display-step>{letter}</display-step><display-octave>{octave}</display-octave></unpitched>"
            )
            return what, "" if head == "normal" else f"<notehead>{head}</notehead>"
        name = self.names[note.note]
        alter = f"<alter>{name.alter}</alter>" if name.alter else ""
        return f"<pitch><step>{name.letter}</step>{alter}<octave>{name.octave}</octave></pitch>", ""

    def _instrument(self, note: Stretch) -> str:
        return f'<instrument id="{self.part.id}-I{note.pitch}"/>' if self.part.keys else ""

    def _dynamics(self, note: int) -> str:
        return "" if self.loud is None else f' dynamics="{100 * int(self.loud[note]) / FORTE:.2f}"'


def _ratio(value: Value) -> str:
    """So many notes in the time of so many."""
    if value.tuplet is None:
        return ""
    actual, normal = value.tuplet.actual, value.tuplet.normal
    return f"<time-modification><actual-notes>{actual}</actual-notes><normal-notes>{normal}</normal-notes></time-modification>"


def _brackets(value: Value) -> str:
    """Where a tuplet begins and ends."""
    if value.tuplet is None or (value.first and value.last):
        return ""
    if value.first:
        return '<tuplet type="start" bracket="yes"/>'
    return '<tuplet type="stop"/>' if value.last else ""


# -- tempo -------------------------------------------------------------------------------------------------------------


def _tempos(score: Score, bars: Sequence[Bar]) -> dict[str, list[tuple[Fraction, float, bool]]]:
    """For each measure by its number: offset in it, quarter notes per minute, and whether it is printed."""
    found: dict[str, list[tuple[Fraction, float, bool]]] = {}
    printed: float | None = None
    starts = [float(b.start) for b in bars]
    onsets, _ = on_grid(np.array([max(t.onset, 0.0) for t in score.tempos]))
    for tempo, onset in zip(score.tempos, onsets, strict=True):
        index = max(int(np.searchsorted(starts, float(onset) + CLOSE, side="right")) - 1, 0)
        if onset >= bars[-1].start + bars[-1].length:
            break
        shown = printed is None or abs(tempo.qpm / printed - 1) > PRINTED
        printed = tempo.qpm if shown else printed
        found.setdefault(bars[index].number, []).append((onset - bars[index].start, tempo.qpm, shown))
    return found


def _tempo(offset: Fraction, qpm: float, printed: bool, divisions: int, compound: bool) -> str:
    at = round(offset * divisions)
    sound = f'tempo="{qpm:.8f}"'
    if not printed:
        return f"<sound {sound}><offset>{at}</offset></sound>\n" if at else f"<sound {sound}/>\n"
    unit = "<beat-unit>quarter</beat-unit>" + ("<beat-unit-dot/>" if compound else "")
    beats = round(qpm / 1.5 if compound else qpm)
    where = f'<offset sound="yes">{at}</offset>' if at else ""
    return (
        f'<direction placement="above"><direction-type><metronome>{unit}<per-minute>{max(beats, 1)}</per-minute>'
        f"</metronome></direction-type>{where}<sound {sound}/></direction>\n"
    )


def _text(words: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in words))
