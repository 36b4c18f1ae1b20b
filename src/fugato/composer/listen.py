"""Listener: who composed what is being played, asked while it is being played.

Notes come as a keyboard, a live page or a sequencer sends them: in seconds, in any order, each whole or as an on and an off. The
normalised stream (`fugato.represent.stream`) is relative to the piece's own step length, key and register, which move with every note;
so nothing is patched: when somebody looks, the notes so far are counted anew, which takes milliseconds. Beyond `LIVE_NOTES` the live
ranking hears the last `LIVE_NOTES` only, so that an update costs the same after an hour as after five minutes; `Listener.answer` hears
everything.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fugato.answer import Answer, Guess
from fugato.composer.identify import LEAST_EVENTS, _candidates, identify
from fugato.composer.panel import panel
from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS
from fugato.represent.stream import stream
from fugato.score import COMMON_TIME, DEFAULT_QPM, Score

LIVE_NOTES: Final = 1500  # two to four minutes of piano music, heard in under 20 ms (benchmarks/listen.py)
LIVE_WINDOWS: Final = 2  # that a network looks at, within the same time
MOST_NOTES: Final = DEFAULT_LIMITS.notes
QUARTERS_A_SECOND: Final = DEFAULT_QPM / 60  # as a file without a beat is read
LONGEST: Final = DEFAULT_LIMITS.quarters  # from the first note to the last

Unit = Literal["seconds", "quarters"]


class Listener:
    """Takes notes as they come and says who might have composed them.

    Parameters
    ----------
    model : str or path
        A shipped or local model, or a model folder.
    fuse : sequence of str or path
        Models that answer together with it.
    candidates : sequence of str, optional
        Ask only between these composers.
    unit : "seconds" or "quarters"
        What times are given in: seconds of a performance, or quarter notes of a score in bars of four.

    Raises
    ------
    FugatoError
        ``no-model``, ``bad-model`` or ``bad-option``, as `fugato.identify`.

    Examples
    --------
    >>> import fugato
    >>> listener = fugato.Listener()  # doctest: +SKIP
    >>> listener.note(60, 0.0, 0.5)  # doctest: +SKIP
    >>> listener.ranking[:3]  # empty until there is something to count  # doctest: +SKIP
    ()
    """

    _table: NDArray[np.float64]  # pitch, onset, duration: NaN while it sounds; rows from _count on are free
    _count: int
    _held: dict[int, int]  # pitch: row of the note that sounds
    _first: float
    _last: float
    _fresh: bool  # whether the ranking is of all notes so far
    _ranking: tuple[Guess, ...]
    _known: bool

    def __init__(
        self,
        model: str | os.PathLike[str] = "composer",
        *,
        fuse: Sequence[str | os.PathLike[str]] = (),
        candidates: Sequence[str] | None = None,
        unit: Unit = "seconds",
    ) -> None:
        if unit not in ("seconds", "quarters"):
            raise FugatoError("bad-option", f"Notes come in seconds or quarters, not in {unit!r}.")
        self._asked = panel(os.fspath(model), *(os.fspath(other) for other in fuse))
        self._chosen = _candidates(self._asked, candidates)
        self._options: dict[str, Any] = {"model": model, "fuse": fuse, "candidates": candidates}
        self._unit = unit
        self._threshold = float(self._asked.model.card.calibration.get("known_threshold", 0.0))
        self.clear()
        # What is made on first use is made now, not while somebody plays; a network is not asked about a few notes.
        warm = Score.from_notes(np.arange(LIVE_NOTES), np.ones(LIVE_NOTES), np.full(LIVE_NOTES, 60))
        self._asked.answer(warm, stream(warm), None, LIVE_WINDOWS)

    # -- what is played ------------------------------------------------------------------------------------------------

    def note(self, pitch: int, onset: float, duration: float | None = None) -> None:
        """A note.

        Parameters
        ----------
        pitch : int
            MIDI note number, 0..127. Percussion is not sent.
        onset : float
            When it begins, in the listener's unit, counted from any moment.
        duration : float, optional
            How long it is held. Left out while nobody knows: it sounds on until the next note of that pitch or its `note_off`.

        Raises
        ------
        FugatoError
            ``bad-option`` for a note that cannot be; ``too-large`` after `MOST_NOTES` notes or `LONGEST` quarter notes.
        """
        if isinstance(pitch, bool) or pitch != int(pitch) or not 0 <= pitch <= 127:
            raise FugatoError("bad-option", f"The pitch is {pitch}; it must be a MIDI note number, 0 to 127.")
        if not math.isfinite(onset):
            raise FugatoError("bad-option", f"The note begins at {onset}; that is no time.")
        if duration is not None and not (math.isfinite(duration) and duration >= 0):
            raise FugatoError("bad-option", f"The note lasts {duration}; it must be 0 or more.")
        if self._count == MOST_NOTES:
            raise FugatoError(
                "too-large", f"{MOST_NOTES:,} notes were heard, and no more are taken; clear the listener."
            )
        first, last = min(self._first, onset), max(self._last, onset)
        if (last - first) * self._scale > LONGEST:
            raise FugatoError(
                "too-large", f"The note lies {last - first:,.0f} {self._unit} from another one; clear the listener."
            )
        self._end(int(pitch), onset)
        if self._count == len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        self._table[self._count] = (pitch, onset, np.nan if duration is None else duration)
        if duration is None:
            self._held[int(pitch)] = self._count
        self._count += 1
        self._first, self._last = first, max(last, onset + (duration or 0.0))
        self._fresh = False

    def note_on(self, pitch: int, time: float, velocity: int = 64) -> None:
        """A key goes down; velocity 0 means that it goes up, as in MIDI. Otherwise the velocity is not heard. Errors as `note`."""
        if velocity:
            self.note(pitch, time)
        else:
            self.note_off(pitch, time)

    def note_off(self, pitch: int, time: float) -> None:
        """A key goes up. One that was not down is passed over."""
        if math.isfinite(time):
            self._end(pitch, time)

    def feed(self, notes: Iterable[tuple[int, float, float | None]]) -> None:
        """Several notes: (pitch, onset, duration) each, as for `note`."""
        for pitch, onset, duration in notes:
            self.note(pitch, onset, duration)

    def clear(self) -> None:
        """Forget what was played: a new piece begins."""
        self._table = np.zeros((256, 3))
        self._count = 0
        self._held = {}
        self._first, self._last = math.inf, -math.inf
        self._fresh, self._ranking, self._known = True, (), False

    # -- what is heard -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Notes so far."""
        return self._count

    def __repr__(self) -> str:
        name = f", {self.ranking[0].name} {self.ranking[0].probability:.2f}" if self.ranking else ""
        return f"<Listener {len(self)} notes{name}>"

    @property
    def ranking(self) -> tuple[Guess, ...]:
        """Names in falling order of probability; empty before there are `LEAST_EVENTS` notes or chords one after another.

        A network by itself needs some more. Of the last `LIVE_NOTES` notes. It is made when somebody looks, and kept until the next note.
        """
        self._listen()
        return self._ranking

    @property
    def known(self) -> bool:
        """Whether it is probably by one of the model's composers; False while the ranking is empty."""
        self._listen()
        return self._known

    @property
    def score(self) -> Score:
        """All notes so far, from the first one's onset on; a note that still sounds ends with the last that was heard."""
        return self._score(self._table[: self._count])

    def answer(self, *, explain: bool = False, top: int | None = None) -> Answer:
        """The whole answer to all that was played: that of `fugato.identify` for these notes.

        Raises
        ------
        FugatoError
            ``empty`` or ``too-short``, as `fugato.identify`.
        """
        return identify(self.score, explain=explain, top=top, **self._options)

    @property
    def _scale(self) -> float:
        return QUARTERS_A_SECOND if self._unit == "seconds" else 1.0

    def _end(self, pitch: int, time: float) -> None:
        place = self._held.pop(pitch, None)
        if place is not None:
            self._table[place, 2] = max(time - self._table[place, 1], 0.0)
            self._last = max(self._last, time)
            self._fresh = False

    def _score(self, table: NDArray[np.float64]) -> Score:
        """Notes in the listener's unit as a Score that begins with the first of them, or with its bar of four quarters."""
        pitch, onset, duration = table.T
        duration = np.where(np.isnan(duration), np.maximum(self._last - onset, 0.0), duration)
        begin = onset.min(initial=self._last if len(table) else 0.0)
        if self._unit == "quarters" and len(table):
            begin -= (begin - self._first) % COMMON_TIME.bar_length
        onset = onset - begin
        return Score.from_notes(
            onset * self._scale,
            duration * self._scale,
            pitch.astype(np.int64),
            beats="default" if self._unit == "seconds" else "notated",
        )

    def _listen(self) -> None:
        if self._fresh:
            return
        self._fresh, self._ranking, self._known = True, (), False
        score = self._score(self._table[max(self._count - LIVE_NOTES, 0) : self._count])
        events = stream(score)
        if len(events) < LEAST_EVENTS:
            return
        try:
            probabilities, surest = self._asked.answer(score, events, self._chosen, LIVE_WINDOWS)
        except FugatoError as error:
            if error.kind == "too-short":  # for a network by itself, which needs more than n-grams do
                return
            raise
        order = np.argsort(-probabilities, kind="stable")[: None if self._chosen is None else len(self._chosen)]
        self._ranking = tuple(Guess(self._asked.labels[i], float(probabilities[i])) for i in order)
        self._known = self._chosen is not None or surest >= self._threshold
