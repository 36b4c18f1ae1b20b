"""What composing answers with: the piece and how it came about, and single bars while it is being written."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fugato.compose.playing import humanise
from fugato.score import Score


@dataclass(frozen=True, eq=False)
class Composition:
    """A piece and how it came about.

    Attributes
    ----------
    score : Score
        With its seed, if it had one.
    report : dict
        ``bars`` and ``notes`` that are new; ``new_bars``, first and last of them from 1; ``loops_avoided`` and ``copies_avoided``, bars
        that were thrown away; ``copy``: the longest run of notes that a training piece has too (``notes``, ``limit``, ``work``,
        ``composer``); ``ending``: "drawn", "by rule" or null; ``warnings``; ``problems`` that stayed; ``critic`` and ``critic_score``;
        ``seconds`` and ``notes_per_second``.
    options : dict
        Everything that made it: ``style``, ``seed``, ``bars``, ``key``, ``programs``, ``tempo``, ``temperature``, ``top_p``, ``guidance``,
        ``random_seed``, ``humanise``, ``infill``, ``model``.
    """

    score: Score
    report: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def new(self) -> Any:
        """Which notes of `score` are new, ndarray of bool, shape=(n_notes,)."""
        first, last = self.report["new_bars"]
        bar = self.score.bar_of(self.score.notes["onset"]) + 1
        return (bar >= first) & (bar <= last)

    @property
    def continuation(self) -> Score:
        """The new bars alone."""
        first, last = self.report["new_bars"]
        return self.score.excerpt(first - 1, min(last, len(self.score.bars)) - 1)

    @cached_property
    def played(self) -> Score:
        """For MIDI and sound: the score, humanised where that was asked for."""
        amount = float(self.options.get("humanise") or 0.0)
        return humanise(self.score, amount, int(self.options["random_seed"])) if amount else self.score

    @property
    def name(self) -> str:
        """For files: the style and the random seed."""
        style = str(self.options.get("style") or "piece").replace(" ", "-").replace("/", "-").replace(".", "")
        return f"{style.lower()}-{self.options['random_seed']}"

    def to_dict(self) -> dict[str, Any]:
        """The report and the options as plain JSON values."""
        return {"task": "compose", **self.report, "options": self.options}

    def _repr_html_(self) -> str:
        from html import escape

        run = self.report.get("copy") or {}
        said = f"{self.report['bars']} new bars, random seed {self.options['random_seed']}"
        if run.get("work"):
            said += f"; nearest training piece: {run['notes']} notes of {run['work']}"
        return f"<div>{self.score._repr_html_()}<p>{escape(said)}</p></div>"


@dataclass(frozen=True, eq=False)
class NewBar:
    """A bar as it is finished, for listening while the rest is written.

    Attributes
    ----------
    bar : int
        From 1, in the whole piece.
    score : Score
        Its notes, from 0; a note may be longer than the bar.
    start : float
        Quarter notes from the beginning of the piece.
    """

    bar: int
    score: Score
    start: float
