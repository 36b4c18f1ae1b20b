"""Answer: what the house says about one input; the command line, the API and the page speak the same object.

The fields and their order are the contract's (docs/contract.md). Everything is frozen; `to_dict` gives plain JSON values.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Guess(NamedTuple):
    """A name with its probability, 0..1."""

    name: str
    probability: float

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "probability": round(self.probability, 4)}


class Segment(NamedTuple):
    """A stretch of a recording, in seconds, with its own ranking."""

    start: float
    end: float
    ranking: tuple[Guess, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "ranking": [g.to_dict() for g in self.ranking]}


class ModelName(NamedTuple):
    """Which model answered."""

    name: str
    version: str

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version}


@dataclass(frozen=True)
class Answer:
    """Who wrote it, or which genre it is.

    Attributes
    ----------
    input : str or None
        Path or name as given.
    sha256 : str or None
        Of the bytes that were read.
    task : "composer" or "genre"
    ranking : tuple of Guess
        In falling order of probability. The probabilities are over the model's labels and sum to 1 when none is cut.
    known : bool
        False when it is probably by none of the model's labels; `name` is then only the nearest.
    music : dict
        notes, bars and seconds of what was judged.
    period, repertoire : Guess or None
        The same question one level up.
    work : dict or None
        The piece itself where it was recognised; it never feeds the ranking.
    evidence : dict or None
        Bars and patterns that spoke for the first and second name.
    timeline : tuple of Segment or None
        For recordings, in place of evidence.
    warnings : tuple of str
        What was mended while reading, and what makes the answer less certain.
    elapsed : float
        Seconds spent on this input.
    """

    input: str | None
    sha256: str | None
    task: str
    ranking: tuple[Guess, ...]
    known: bool
    model: ModelName
    music: dict[str, Any] = field(default_factory=dict)
    period: Guess | None = None
    repertoire: Guess | None = None
    work: dict[str, Any] | None = None
    evidence: dict[str, Any] | None = None
    timeline: tuple[Segment, ...] | None = None
    warnings: tuple[str, ...] = ()
    elapsed: float = 0.0

    @property
    def name(self) -> str:
        """The top of the ranking, also when `known` is false."""
        return self.ranking[0].name

    @property
    def probability(self) -> float:
        """Of `name`."""
        return self.ranking[0].probability

    def to_dict(self) -> dict[str, Any]:
        """The contract's JSON object."""
        out: dict[str, Any] = {
            "input": self.input,
            "sha256": self.sha256,
            "task": self.task,
            "name": self.name,
            "probability": round(self.probability, 4),
            "known": self.known,
            "ranking": [g.to_dict() for g in self.ranking],
            "model": self.model.to_dict(),
            "music": self.music,
        }
        if self.task == "composer":
            out["period"] = self.period.to_dict() if self.period else None
            out["repertoire"] = self.repertoire.to_dict() if self.repertoire else None
            out["work"] = self.work
            out["evidence"] = self.evidence
        else:
            out["timeline"] = [s.to_dict() for s in self.timeline] if self.timeline is not None else None
        out["warnings"] = list(self.warnings)
        out["elapsed"] = round(self.elapsed, 4)
        return out

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:left">{html.escape(g.name)}</td>'
            f'<td><div style="background:#2f5d8a;height:0.8em;width:{g.probability * 16:.2f}em"></div></td>'
            f"<td>{g.probability:.2f}</td></tr>"
            for g in self.ranking[:5]
        )
        head = "" if self.known else "<p>none of these; nearest:</p>"
        return f"{head}<table>{rows}</table>"
