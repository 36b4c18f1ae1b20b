"""What every system that composes can be asked, so that they can be heard and judged side by side."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol

from fugato.errors import FugatoError
from fugato.models import Model, load_model, taken_up
from fugato.score import Score

# Recipe -> the class that plays its models: called with the Model, it is a Generator.
SYSTEMS: Final[dict[str, str]] = {
    "remi-transformer": "fugato.compose.transformer:Transformer",
    "chord-lstm": "fugato.compose.published:ChordLSTM",
    "pitch-duration-lstm": "fugato.compose.published:PitchDurationLSTM",
    "markov": "fugato.compose.markov:Markov",
}


class NoteLikelihood(NamedTuple):
    """How well a system foretells a piece.

    Attributes
    ----------
    nats : float
        Negative log-likelihood of all note events: when each starts (bar lines and rests counted in), how high it is, how long; natural
        logarithms.
    notes : int
        Note events foretold.
    by : dict of str to float
        The same by what is foretold, as far as the system tells it apart: ``onset``, ``pitch``, ``duration``, ``other``.
    """

    nats: float
    notes: int
    by: dict[str, float]

    @property
    def per_note(self) -> float:
        """Nats a note."""
        return self.nats / max(self.notes, 1)


class Generator(Protocol):
    """A trained system that goes on from a seed."""

    model: Model

    def generate(
        self, seed: Score | None, *, bars: int, random_seed: int, style: str | None = None, **options: Any
    ) -> Score:
        """New music after a seed, without it: it starts at 0 and lasts for `bars` bars of the seed's last meter."""

    def nll(self, score: Score, *, style: str | None = None) -> NoteLikelihood:
        """How well a piece is foretold, note after note."""


def load_generator(model: str | os.PathLike[str] | Model = "compose") -> Generator:
    """The system of a model folder.

    Raises
    ------
    FugatoError
        ``no-model``; ``bad-model`` where it was not made for composing, or by a recipe that this version does not know.
    """
    if not isinstance(model, Model):
        model = _found(model)
    card = model.card
    if card.task != "compose" or card.recipe not in SYSTEMS:
        what = (
            f"It is a model for the task {card.task!r}" if card.task != "compose" else f"Its recipe is {card.recipe!r}"
        )
        raise FugatoError("bad-model", f"{what}, and cannot compose here.", str(model.folder))
    module, _, name = SYSTEMS[card.recipe].partition(":")
    made = getattr(import_module(module), name)
    with taken_up(model):
        system: Generator = made(model)
    return system


def _found(model: str | os.PathLike[str]) -> Model:
    try:
        return load_model(model)
    except FugatoError as error:
        if error.kind != "no-model" or model != "compose":
            raise
        raise FugatoError(
            "no-model",
            "This installation has no model that composes. Train one with  fugato train compose DATA --name NAME  and give "
            "its name as --model (model= in Python).",
        ) from None
