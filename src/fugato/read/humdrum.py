"""Humdrum ``**kern`` -> Score, straight from the table of spines.

After David Huron's *Humdrum Toolkit* reference manual and Craig Sapp's guide to kern (humdrum.org). Each spine knows
when its last token ends, so a token starts there; at a bar line all spines stand at the same time. Title and composer
come from the reference records ``!!!OTL`` and ``!!!COM``. Kern is written at sounding pitch; repeats and expansion
lists are not followed.

music21 reads kern too, and is the yardstick of the tests; it takes about a second a file where this takes twenty
milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from fugato.errors import FugatoError
from fugato.read.limits import Limits
from fugato.read.rows import Rows
from fugato.score import Key, Meter, Part, Score, Tempo

DURATION: Final = re.compile(r"(\d+)(?:%(\d+))?(\.*)")
PITCH: Final = re.compile(r"([a-gA-G])\1*(#+|-+)?")
METER: Final = re.compile(r"\*M(\d+)/(\d+)$")
TEMPO: Final = re.compile(r"\*MM(\d+(?:\.\d+)?)$")
KEY_SIGNATURE: Final = re.compile(r"\*k\[([^\]]*)\]")
KEY: Final = re.compile(r"\*([a-gA-G])[#-]?:")
STEPS: Final = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
MAX_SPINES: Final = 1_000


def read_kern(text: str, limits: Limits, warnings: tuple[str, ...] = ()) -> Score:
    """Score of one kern file.

    Raises
    ------
    FugatoError
        ``empty``, ``corrupt`` where the spines do not hang together, ``too-large``.
    """
    reader = _Reader(text, limits)
    reader.read()
    notes = list(warnings)
    if reader.late:
        notes.append(f"Voices did not meet at {reader.late} places; the later one was followed.")
    title = _record(text, "OTL") or _record(text, "OPR")
    return reader.rows.score(
        "kern",
        [float(b) for b in reader.bars] or None,
        title=title,
        composer=_record(text, "COM"),
        warnings=tuple(notes),
    )


def _record(text: str, code: str) -> str:
    """A reference record in whatever language comes first."""
    found = re.search(rf"^!!!{code}(?:@+\w+)?:[ \t]*(.*)$", text, re.M)
    return found[1].strip() if found else ""


@dataclass
class _Spine:
    """A column of the table; after a split, one of its branches."""

    kind: str = ""  # the exclusive interpretation: "**kern", "**text", ...
    part: int = -1
    end: Fraction = field(default_factory=Fraction)  # quarter notes at the end of its last token

    def branch(self) -> _Spine:
        return _Spine(self.kind, self.part, self.end)


class _Reader:
    """State of one file, line by line."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.lines = text.split("\n")
        self.rows = Rows(limits)
        self.spines: list[_Spine] = []
        self.bars: list[Fraction] = []
        self.now = Fraction()  # where the furthest spine stands
        self.late = 0

    def read(self) -> None:
        """All lines; fills `rows` and `bars`."""
        for line in self.lines:
            if not line or line[0] == "!":
                continue
            tokens = line.rstrip("\r").split("\t")
            if tokens[0].startswith("**") and not any(s.kind for s in self.spines):
                self.spines = [_Spine(end=self.now) for _ in tokens]
            if not self.spines:
                continue
            if len(tokens) != len(self.spines):
                raise FugatoError(
                    "corrupt", f"A line has {len(tokens)} columns where {len(self.spines)} spines are open."
                )
            if line[0] == "*":
                self._interpret(tokens)
            elif line[0] == "=":
                self._bar()
            else:
                self._data(tokens)
        self.rows.parts = self.rows.parts[::-1]  # kern goes from the lowest staff up, scores from the top down
        last = len(self.rows.parts) - 1
        self.rows.owners = [last - owner for owner in self.rows.owners]
        if self.bars and self.bars[0] > 0:
            self.bars.insert(0, Fraction())
        while len(self.bars) > 1 and self.bars[-1] >= self.now:  # the closing bar line opens no bar
            self.bars.pop()

    def _kern(self) -> Iterator[_Spine]:
        return (s for s in self.spines if s.kind == "**kern")

    def _bar(self) -> None:
        for spine in self._kern():
            spine.end = self.now
        if not self.bars or self.now > self.bars[-1]:
            self.bars.append(self.now)

    def _interpret(self, tokens: list[str]) -> None:
        merged: list[_Spine] = []
        i = 0
        while i < len(tokens):
            token, spine = tokens[i], self.spines[i]
            if token == "*^":
                merged += [spine, spine.branch()]
            elif token == "*v":
                count = next((k for k, t in enumerate(tokens[i:]) if t != "*v"), len(tokens) - i)
                merged += _join(self.spines[i : i + count])
                i += count - 1
            elif token == "*x" and i + 1 < len(tokens) and tokens[i + 1] == "*x":
                merged += [self.spines[i + 1], spine]
                i += 1
            elif token == "*+":
                merged += [spine, _Spine(end=self.now)]
            elif token != "*-":
                merged.append(spine)
                if token != "*":
                    self._mark(token, spine)
            i += 1
        if len(merged) > MAX_SPINES:
            raise FugatoError("too-large", f"More than {MAX_SPINES:,} spines.")
        self.spines = merged

    def _mark(self, token: str, spine: _Spine) -> None:
        """A tandem or exclusive interpretation."""
        onset = float(spine.end)
        if token.startswith("**"):
            spine.kind = token
            if token == "**kern" and spine.part < 0:
                spine.part = len(self.rows.parts)
                self.rows.parts.append(Part())
        elif spine.kind != "**kern":
            return
        elif token.startswith('*I"'):
            self.rows.parts[spine.part] = self.rows.parts[spine.part]._replace(name=token[3:].strip())
        elif found := METER.match(token):
            if 0 < int(found[1]) < 256 and 0 < int(found[2]) <= 128:
                self.rows.meters.append(Meter(onset, int(found[1]), int(found[2])))
        elif found := TEMPO.match(token):
            if 0 < float(found[1]) < 10_000:
                self.rows.tempos.append(Tempo(onset, float(found[1])))
        elif found := KEY_SIGNATURE.match(token):
            sharps = found[1].count("#") - found[1].count("-")
            if abs(sharps) <= 7:
                self.rows.keys.append(Key(onset, sharps))
        elif found := KEY.match(token):
            mode = "major" if found[1].isupper() else "minor"
            self.rows.keys = [k._replace(mode=mode) if k.onset == onset and not k.mode else k for k in self.rows.keys]

    def _data(self, tokens: list[str]) -> None:
        sounding = [(s, t, i) for i, (s, t) in enumerate(zip(self.spines, tokens, strict=True)) if _is_token(s, t)]
        if not sounding:
            return
        onset = max(s.end for s, _, _ in sounding)
        if any(s.end != onset for s, _, _ in sounding):
            self.late += 1
        for spine, token, column in sounding:
            spine.end = onset
            self._token(spine, token, onset, (spine.part, column))

    def _token(self, spine: _Spine, token: str, onset: Fraction, voice: tuple[int, int]) -> None:
        """One token: a rest, a note, a chord, or one of them as grace notes."""
        longest: Fraction | None = None
        graces: list[tuple[int, bool]] = []
        for text in token.split(" "):
            length = _duration(text)
            length = longest if length is None else length
            grace = "q" in text
            if length is not None and not grace:
                longest = length if longest is None else max(longest, length)
            found = PITCH.search(text)
            if found is None or "r" in text:
                continue
            drum = "R" in text
            if grace or not length:
                graces.append((_pitch(found), drum))
                continue
            self.rows.note(
                float(onset),
                float(length),
                _pitch(found),
                spine.part,
                drum=drum,
                tied_from="]" in text or "_" in text,
                tied_to="[" in text or "_" in text,
            )
        if graces:
            self.rows.grace(voice, float(onset), graces, spine.part)
        elif longest is not None:
            self.rows.settle(voice, float(onset))
        if longest is not None:
            spine.end = onset + longest
            self.now = max(self.now, spine.end)


def _join(branches: list[_Spine]) -> list[_Spine]:
    """One spine for each part among neighbours that are joined; a branch alone (a slip) joins its neighbour."""
    groups: list[list[_Spine]] = []
    for spine in branches:
        if groups and (groups[-1][0].part == spine.part or len(groups[-1]) == 1):
            groups[-1].append(spine)
        else:
            groups.append([spine])
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2] += groups.pop()
    for group in groups:
        group[0].end = max(s.end for s in group)
    return [group[0] for group in groups]


def _is_token(spine: _Spine, token: str) -> bool:
    return spine.kind == "**kern" and token not in (".", "")


def _duration(text: str) -> Fraction | None:
    """Quarter notes of a token: 4 is a quarter, 8. a dotted eighth, 0 a breve, 3%2 two thirds of a whole note."""
    found = DURATION.search(text)
    if found is None or len(found[1]) > 6 or len(found[2] or "") > 6:
        return None
    number = int(found[1])
    length = Fraction(4 * int(found[2] or 1), number) if number else Fraction(4 * 2 ** len(found[1]))
    dots = min(len(found[3]), 8)
    return length * (2 - Fraction(1, 2**dots))


def _pitch(found: re.Match[str]) -> int:
    """MIDI number of "c" (middle C), "cc" (an octave up), "C" (an octave down), "f##", "B-"."""
    letters = found[0].rstrip("#-")
    octave = 5 + len(letters) - 1 if letters[0].islower() else 5 - len(letters)
    accidental = found[2] or ""
    return 12 * octave + STEPS[letters[0].lower()] + accidental.count("#") - accidental.count("-")
