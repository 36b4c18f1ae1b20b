"""MusicXML -> Score, straight from the tree of elements.

After *MusicXML 4.0* (W3C Community Group, 2021), ``score-partwise`` and ``score-timewise``. Durations are counted in
divisions of a quarter note; ``backup`` and ``forward`` move a cursor within the measure. A measure is as long as its
longest voice in any part, so that pickups, irregular bars and incomplete voices keep all parts together. Repeats are
not expanded, chord symbols are left out, cue notes (which often are small notes that sound: cadenzas) are kept,
transposing instruments are read at sounding pitch, unpitched percussion is marked as drums.

music21 reads MusicXML too, and is the yardstick of the tests; it takes two seconds a megabyte where this takes a
tenth of one.
"""

from __future__ import annotations

import math
from typing import Final, NoReturn
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers import expat

from fugato.errors import FugatoError
from fugato.read.limits import Limits
from fugato.read.rows import Rows
from fugato.read.sniff import decode
from fugato.score import Key, Meter, Part, Score, Tempo

STEPS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
UNPITCHED: Final = 38  # key of an unpitched note without an instrument: the snare drum of General MIDI
PROLOG: Final = 65_536  # bytes of XML that are looked at in one go for declarations
ROUNDING: Final = 0.03  # quarter notes by which rounded divisions may miss a full bar
FORTE: Final = 90  # MIDI velocity that the dynamics of 100 percent stand for
BEATS: Final = {  # quarter notes of a note type
    "maxima": 32.0,
    "long": 16.0,
    "breve": 8.0,
    "whole": 4.0,
    "half": 2.0,
    "quarter": 1.0,
    "eighth": 0.5,
    "16th": 0.25,
    "32nd": 0.125,
    "64th": 0.0625,
}
FIFTHS_OF_SEMITONES: Final = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)  # sharps added by a transposition upwards
WORK_TITLES: Final = ("work/work-title", "movement-title")


def read_musicxml(data: bytes, limits: Limits, warnings: tuple[str, ...] = ()) -> Score:
    """Score of one MusicXML document.

    Raises
    ------
    FugatoError
        ``corrupt`` where the XML is damaged or defines entities, ``not-music``, ``empty``, ``too-large``.
    """
    root = _parse(data, limits)
    if root.tag == "score-timewise":
        measures = _timewise(root)
    elif root.tag == "score-partwise":
        measures = {part.get("id", ""): part.findall("measure") for part in root.findall("part")}
    else:
        raise FugatoError("not-music", f"It is XML, but its root is {root.tag!r}, not a MusicXML score.")
    return _Reader(root, measures, limits, list(warnings)).score()


def _parse(data: bytes, limits: Limits) -> Element:
    if data.count(b"<") > limits.xml_tags:
        raise FugatoError("too-large", f"More than {limits.xml_tags:,} XML tags.")
    try:
        _refuse_entities(data)
        root = fromstring(data)
    except (ParseError, expat.ExpatError, ValueError, LookupError) as e:
        text = decode(data) if b"encoding=" not in data[:200] else None
        if text is None or text.encode() == data:
            raise FugatoError("corrupt", f"The XML is damaged ({e}).") from e
        return _parse(text.encode(), limits)
    for element in root.iter():  # a namespace is allowed, and said by some programs
        if isinstance(element.tag, str) and element.tag[:1] == "{":
            element.tag = element.tag.partition("}")[2]
    return root


def _refuse_entities(data: bytes) -> None:
    """Look at what stands before the root element, the only place for declarations, for entities of any kind."""

    def refuse(*_: object) -> NoReturn:
        raise FugatoError("corrupt", "It defines XML entities, which no score needs and harmful files use.")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse  # a document type of its own is allowed: nothing is fetched for it
    reached: list[object] = []
    parser.StartElementHandler = lambda *_: reached.append(None)
    for start in range(0, len(data), PROLOG):
        parser.Parse(data[start : start + PROLOG], False)
        if reached:
            return


def _timewise(root: Element) -> dict[str, list[Element]]:
    """Parts of measures from measures of parts."""
    ids = [p.get("id", "") for p in root.findall("part-list/score-part")]
    parts: dict[str, list[Element]] = {i: [] for i in ids}
    for measure in root.findall("measure"):
        inside = {p.get("id", ""): p for p in measure.findall("part")}
        for part_id in {**dict.fromkeys(ids), **inside}:
            part = inside.get(part_id)
            copy = Element("measure", measure.attrib)
            copy.extend(list(part) if part is not None else [])
            parts.setdefault(part_id, []).append(copy)
    return parts


class _Reader:
    """State of one document: the rows so far, and what holds in each part."""

    def __init__(self, root: Element, measures: dict[str, list[Element]], limits: Limits, warnings: list[str]) -> None:
        self.root = root
        self.measures = measures
        self.warnings = warnings
        self.rows = Rows(limits)

    def score(self) -> Score:
        listed = {p.get("id", ""): p for p in self.root.findall("part-list/score-part")}
        parts = [_Part(index, self, listed.get(part_id)) for index, part_id in enumerate(self.measures)]
        self.rows.parts = [p.about for p in parts]
        columns = list(self.measures.values())
        start, bars = 0.0, []
        for number in range(max(map(len, columns), default=0)):
            length = 0.0
            for part, measures in zip(parts, columns, strict=True):
                if number < len(measures):
                    length = max(length, part.measure(measures[number], start))
            bars.append(start)
            full = parts[0].meter.bar_length
            if length == 0.0 or abs(length - full) < ROUNDING:  # empty everywhere, or of tuplets in rounded divisions
                length = full
            start += length
        bars = [b for i, b in enumerate(bars) if i == 0 or b > bars[i - 1]]
        return self.rows.score(
            "musicxml",
            bars,
            title=self._title(),
            composer=self._composer(),
            warnings=tuple(dict.fromkeys(self.warnings)),
        )

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def _title(self) -> str:
        found = [" ".join((self.root.findtext(path) or "").split()) for path in WORK_TITLES]
        return ", ".join(dict.fromkeys(t for t in found if t))

    def _composer(self) -> str:
        for creator in self.root.findall("identification/creator"):
            if creator.get("type", "composer") == "composer" and creator.text:
                return " ".join(creator.text.split())
        return ""


class _Part:
    """What holds in one part while its measures go by."""

    def __init__(self, index: int, reader: _Reader, listed: Element | None) -> None:
        self.index = index
        self.reader = reader
        self.rows = reader.rows
        self.divisions = 1.0
        self.transpose: dict[str, int] = {}  # staff ("" for all): semitones from written to sounding pitch
        self.velocity: int | None = None
        self.meter = Meter(0.0, 4, 4)
        self.program = 0
        self.drum_keys: dict[str, int] = {}  # instrument id: key of the drum map
        drum_channel = False
        name = ""
        if listed is not None:
            name = " ".join((listed.findtext("part-name") or "").split())
            for instrument in listed.findall("midi-instrument"):
                self.program = _int(instrument.findtext("midi-program"), 1) - 1
                drum_channel = drum_channel or instrument.findtext("midi-channel", "").strip() == "10"
                key = instrument.findtext("midi-unpitched")
                if key:
                    self.drum_keys[instrument.get("id", "")] = _int(key, UNPITCHED + 1) - 1
            first = listed.find("midi-instrument/midi-program")
            if first is not None:
                self.program = _int(first.text, 1) - 1
        self.about = Part(name, min(max(self.program, 0), 127), drum_channel)

    def measure(self, measure: Element, start: float) -> float:
        """Read one measure that starts at `start`; its length in quarter notes."""
        cursor = longest = 0.0
        onset = 0.0  # of the last note, for the chord notes after it
        for element in measure:
            tag = element.tag
            if tag == "note":
                grace = element.find("grace") is not None
                duration = 0.0 if grace else self._duration(element)
                if element.find("chord") is None:
                    onset = cursor
                    cursor += duration
                self._note(element, start + onset, duration, grace)
            elif tag == "backup":
                cursor = max(cursor - self._duration(element), 0.0)
            elif tag == "forward":
                cursor += self._duration(element)
            elif tag == "attributes":
                self._attributes(element, start + cursor)
            elif tag in ("direction", "sound"):
                self._direction(element, start + cursor)
            longest = max(longest, cursor)
        return longest

    def _duration(self, element: Element) -> float:
        value = _number(element.findtext("duration"))
        if value is None:
            if element.tag == "note":  # against the schema, but its type says the length
                length = BEATS.get((element.findtext("type") or "").strip(), 0.0)
                length *= 2.0 - 0.5 ** len(element.findall("dot"))
                self.reader.warn("A note without duration was given that of its type.")
                return length
            return 0.0
        if value < 0:
            self.reader.warn("A negative duration was ignored.")
            return 0.0
        return value / self.divisions

    def _note(self, element: Element, onset: float, duration: float, grace: bool) -> None:
        if element.find("rest") is not None:
            return
        voice = (self.index, (element.findtext("voice") or "1").strip())
        pitch = element.find("pitch")
        drum = pitch is None
        if pitch is not None:
            key = self._pitch(pitch, (element.findtext("staff") or "").strip())
        elif element.find("unpitched") is not None:
            instrument = element.find("instrument")
            known = self.drum_keys.get(instrument.get("id", "") if instrument is not None else "")
            key = known if known is not None else next(iter(self.drum_keys.values()), UNPITCHED)
        else:
            return
        if key is None:
            self.reader.warn("A note with a pitch that does not exist was left out.")
            return
        if grace:
            self.rows.grace(voice, onset, [(key, drum)], self.index, chord=element.find("chord") is not None)
            return
        ties = {t.get("type") for t in element.findall("tie")} or {
            t.get("type") for t in element.findall("notations/tied")
        }
        dynamics = _number(element.get("dynamics"))
        self.rows.note(
            onset,
            duration,
            key,
            self.index,
            drum=drum or self.about.drum,
            velocity=self.velocity if dynamics is None else round(min(dynamics, 1000.0) * FORTE / 100),
            tied_from="stop" in ties,
            tied_to="start" in ties,
        )
        self.rows.settle(voice, onset)

    def _pitch(self, pitch: Element, staff: str) -> int | None:
        step = STEPS.get((pitch.findtext("step") or "").strip().upper())
        octave = _number(pitch.findtext("octave"))
        if step is None or octave is None:
            return None
        alter = _number(pitch.findtext("alter")) or 0.0
        shift = self.transpose.get(staff, self.transpose.get("", 0))
        return math.floor(12 * (octave + 1) + step + alter + 0.5) + shift

    def _attributes(self, element: Element, onset: float) -> None:
        divisions = _number(element.findtext("divisions"))
        if divisions is not None:
            if divisions > 0:
                self.divisions = divisions
            else:
                self.reader.warn("Divisions of zero or less were ignored.")
        for transpose in element.findall("transpose"):
            semitones = _int(transpose.findtext("chromatic"), 0) + 12 * _int(transpose.findtext("octave-change"), 0)
            self.transpose[transpose.get("number", "")] = semitones
        for key in element.findall("key")[:1]:
            fifths = _number(key.findtext("fifths"))
            if fifths is not None:
                shift = next(iter(self.transpose.values()), 0)
                sharps = int(fifths) + FIFTHS_OF_SEMITONES[shift % 12]
                sharps = sharps - 12 if sharps > 7 else sharps + 12 if sharps < -7 else sharps
                mode = (key.findtext("mode") or "").strip()
                if abs(sharps) <= 7:
                    self.rows.keys.append(Key(onset, sharps, mode if mode in ("major", "minor") else ""))
        for time in element.findall("time")[:1]:
            meter = _meter(time, onset)
            if meter is not None:
                self.meter = meter
                self.rows.meters.append(meter)

    def _direction(self, element: Element, onset: float) -> None:
        for sound in [element] if element.tag == "sound" else element.findall("sound"):
            dynamics = _number(sound.get("dynamics"))
            if dynamics is not None:
                self.velocity = min(max(round(dynamics * FORTE / 100), 1), 127)
            qpm = _number(sound.get("tempo"))
            if qpm:
                self.rows.tempos.append(Tempo(onset + self._offset(element), qpm))
                return
        for metronome in element.findall("direction-type/metronome"):
            qpm = _metronome(metronome)
            if qpm:
                self.rows.tempos.append(Tempo(onset + self._offset(element), qpm))
                return

    def _offset(self, direction: Element) -> float:
        return max((_number(direction.findtext("offset")) or 0.0) / self.divisions, 0.0)


def _meter(time: Element, onset: float) -> Meter | None:
    """A time signature; additive ones are added up (3+2/8 is 5/8, 2/4 + 3/8 is 7/8)."""
    numerators = [_sum(b.text) for b in time.findall("beats")]
    denominators = [_int(b.text, 0) for b in time.findall("beat-type")]
    pairs = [(n, d) for n, d in zip(numerators, denominators, strict=False) if 0 < n < 256 and 0 < d <= 128]
    if not pairs:
        return None
    finest = max(d for _, d in pairs)
    if any(finest % d for _, d in pairs):
        return Meter(onset, *pairs[0])
    return Meter(onset, sum(n * finest // d for n, d in pairs), finest)


def _metronome(metronome: Element) -> float | None:
    """Quarter notes per minute of "dotted quarter = 60"."""
    unit = BEATS.get((metronome.findtext("beat-unit") or "").strip())
    per_minute = metronome.findtext("per-minute") or ""
    digits = "".join(c if c.isdigit() or c == "." else " " for c in per_minute).split()
    value = _number(digits[0]) if digits else None
    if unit is None or not value:
        return None
    return value * unit * (2.0 - 0.5 ** len(metronome.findall("beat-unit-dot")))


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and abs(value) < 1e9 else None


def _int(text: str | None, otherwise: int) -> int:
    value = _number(text)
    return otherwise if value is None else int(value)


def _sum(text: str | None) -> int:
    return sum(_int(t, 0) for t in (text or "").split("+"))
