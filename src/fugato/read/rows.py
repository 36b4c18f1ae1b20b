"""Rows: notes of a printed score as they are met, with ties joined and grace notes placed, and the Score they make."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np

from fugato.errors import FugatoError
from fugato.read.limits import Limits
from fugato.read.meters import tidy_meters
from fugato.score import DEFAULT_VELOCITY, Key, Meter, Part, Score, Tempo

GRACE: Final = 0.125  # quarter notes of a grace note: a thirty-second, taken from the time before its main note
CLOSE: Final = 1e-4  # quarter notes by which the ends of a tie may miss each other


class Rows:
    """Collects the notes and marks of one piece; onsets and durations in quarter notes, parts by index."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.onsets: list[float] = []
        self.durations: list[float] = []
        self.pitches: list[int] = []
        self.velocities: list[int] = []
        self.owners: list[int] = []
        self.drums: list[bool] = []
        self.parts: list[Part] = []
        self.tempos: list[Tempo] = []
        self.meters: list[Meter] = []
        self.keys: list[Key] = []
        self._open: dict[tuple[int, int], list[int]] = {}  # (part, pitch): rows with a tie that goes on
        self._graces: dict[
            Hashable, list[list[int]]
        ] = {}  # voice: grace notes, chord by chord, that wait for a main note

    def note(
        self,
        onset: float,
        duration: float,
        pitch: int,
        part: int,
        *,
        drum: bool = False,
        velocity: int | None = None,
        tied_from: bool = False,
        tied_to: bool = False,
    ) -> None:
        """One note; a note that is `tied_from` lengthens the one before where that one ends here."""
        if tied_from:
            for earlier in self._open.get((part, pitch), ()):
                if abs(self.onsets[earlier] + self.durations[earlier] - onset) < CLOSE:
                    self.durations[earlier] += duration
                    if not tied_to:
                        self._open[part, pitch].remove(earlier)
                    return
        row = self._add(onset, duration, pitch, part, drum, velocity)
        if tied_to and row is not None:
            self._open.setdefault((part, pitch), []).append(row)

    def grace(
        self, voice: Hashable, onset: float, pitches: Sequence[tuple[int, bool]], part: int, *, chord: bool = False
    ) -> None:
        """A grace note or grace chord, as (pitch, drum) pairs; it waits for the main note of its voice.

        With `chord`, the notes join the grace note before.
        """
        found = (self._add(onset, GRACE, pitch, part, drum, None) for pitch, drum in pitches)
        rows = [r for r in found if r is not None]
        waiting = self._graces.setdefault(voice, [])
        if chord and waiting:
            waiting[-1].extend(rows)
        else:
            waiting.append(rows)

    def settle(self, voice: Hashable, onset: float) -> None:
        """A main note at `onset`: the grace notes of the voice that wait go right before it, as far as there is
        time."""
        waiting = self._graces.pop(voice, ())
        for place, rows in enumerate(waiting):
            for row in rows:
                self.onsets[row] = max(onset - GRACE * (len(waiting) - place), 0.0)

    def _add(
        self, onset: float, duration: float, pitch: int, part: int, drum: bool, velocity: int | None
    ) -> int | None:
        if not 0 <= pitch <= 127 or not (math.isfinite(onset) and math.isfinite(duration)):
            return None
        if len(self.onsets) >= self.limits.notes:
            raise FugatoError("too-large", f"More than {self.limits.notes:,} notes.")
        if onset + duration > self.limits.quarters:
            raise FugatoError("too-large", f"Longer than {self.limits.quarters:,.0f} quarter notes.")
        self.onsets.append(max(onset, 0.0))
        self.durations.append(duration if duration > 0 else GRACE)
        self.pitches.append(pitch)
        self.velocities.append(min(max(velocity or DEFAULT_VELOCITY, 1), 127))
        self.owners.append(part)
        self.drums.append(drum)
        return len(self.onsets) - 1

    def score(self, form: str, bars: Sequence[float] | None, **facts: Any) -> Score:
        """The Score; `bars` are the onsets of the measures as printed, or None where they follow from the meters.

        Raises
        ------
        FugatoError
            ``empty`` where there are no notes.
        """
        if not self.onsets:
            raise FugatoError("empty", "It is a score without a note in it.")
        used = sorted(set(self.owners))
        place = {owner: i for i, owner in enumerate(used)}
        pitched = {owner for owner, drum in zip(self.owners, self.drums, strict=True) if not drum}
        parts = [self.parts[owner]._replace(drum=owner not in pitched) for owner in used]
        return Score.from_notes(
            self.onsets,
            self.durations,
            self.pitches,
            velocity=self.velocities,
            part=[place[o] for o in self.owners],
            drum=self.drums,
            parts=parts,
            tempos=self.tempos,
            meters=tidy_meters(list({m.onset: m for m in reversed(self.meters)}.values()), snap=False),
            keys=_tidy_keys(self.keys),
            bars=None if bars is None else np.unique(np.round(np.asarray(bars, np.float64), 9)),
            beats="notated",
            format=form,
            **facts,
        )


def _tidy_keys(keys: list[Key]) -> list[Key]:
    """In order of onset, one at a time, without repetitions; transposed parts have been brought to sounding pitch
    before."""
    kept: list[Key] = []
    for k in sorted(keys, key=lambda k: k.onset):
        if kept and (kept[-1].onset == k.onset or kept[-1][1:] == k[1:]):
            continue
        kept.append(k)
    return kept
