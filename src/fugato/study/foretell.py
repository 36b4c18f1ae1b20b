"""How well systems that compose foretell held-out music: nats a note event, on the same excerpts of works that none of them has learnt.

Onset, pitch and duration are told apart as the systems tell them (`fugato.compose.NoteLikelihood`); intervals are bootstrapped over works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.compose import Generator, NoteLikelihood
from fugato.compose.transformer import Transformer
from fugato.errors import FugatoError
from fugato.metrics import Interval, bootstrap_interval
from fugato.score import Score, Tempo

NOTES: Final = 300  # of a piece that are foretold, at most: some 32 bars
DRAWS: Final = 2000  # of the bootstrap

Progress = Callable[[int, int], None]


class Held(NamedTuple):
    """Held-out music.

    Attributes
    ----------
    score : Score
    composer, work : str
    """

    score: Score
    composer: str
    work: str


def score_of(phrases: Any, piece: int) -> Score:
    """A piece of `fugato.train.phrases.Phrases` as music, in its tempo where that is known."""
    from fugato.represent import tokens as t

    about = phrases.pieces[piece]
    tempos = (Tempo(0.0, about["qpm"]),) if about["qpm"] else ()
    return t.decode(t.Tokens(phrases.tokens(piece), tuple(about["programs"])), tempos=tempos)


def excerpts(phrases: Any, most: int, *, notes: int = NOTES, part: str = "test") -> list[Held]:
    """The first whole bars within so many notes of one piece of each held-out work; shorter pieces whole where there are no longer ones.

    Parameters
    ----------
    phrases : fugato.train.phrases.Phrases
    most : int
        Works, drawn at random where there are more.
    notes : int
    part : str
        "test" or "valid".
    """
    found: dict[str, Held] = {}
    spare: dict[str, Held] = {}
    for i in phrases.of(part):
        about = phrases.pieces[int(i)]
        if about["group"] in found:
            continue
        score = score_of(phrases, int(i))
        held = Held(beginning(score, notes), about["composer"], about["group"])
        if len(score) < notes:
            spare.setdefault(about["group"], held)
        else:
            found[about["group"]] = held
    found = found or spare
    works = sorted(found)
    chosen = np.random.default_rng(0).permutation(len(works))[:most]
    return [found[works[i]] for i in sorted(chosen.tolist())]


def beginning(score: Score, notes: int) -> Score:
    """The first whole bars within so many notes, at least one; all of a shorter piece."""
    if len(score) < notes:
        return score
    last = int(score.bar_of(float(score.notes["onset"][notes - 1])))
    return score.excerpt(0, max(last - 1, 0))


def foretold(
    system: Generator, pieces: Sequence[Held], *, styled: bool = True, progress: Progress | None = None
) -> list[NoteLikelihood]:
    """What a system says of each piece, in the light of what came before alone.

    Parameters
    ----------
    system : Generator
    pieces : sequence of Held
    styled : bool
        Tell it the composer, where it knows him.
    progress : callable, optional
        Told (pieces done, pieces in all).
    """
    found = []
    options: dict[str, Any] = {"plan": False} if isinstance(system, Transformer) else {}  # the others have none
    for number, piece in enumerate(pieces):
        try:
            found.append(system.nll(piece.score, style=piece.composer if styled else None, **options))
        except FugatoError:  # a composer of whom it knows nothing
            found.append(system.nll(piece.score, **options))
        if progress is not None:
            progress(number + 1, len(pieces))
    return found


def nats_a_note(found: Sequence[NoteLikelihood], works: Sequence[str], *, draws: int = DRAWS) -> Interval:
    """All nats over all notes, with the interval over works."""
    nats, notes = np.array([f.nats for f in found]), np.array([float(f.notes) for f in found])
    return bootstrap_interval(_ratio, nats, notes, groups=list(works), n=draws, seed=1)


def parts_a_note(found: Sequence[NoteLikelihood]) -> dict[str, float]:
    """Nats a note of each part that a system tells apart."""
    notes = max(sum(f.notes for f in found), 1)
    return {key: sum(f.by[key] for f in found) / notes for key in found[0].by}


def _ratio(nats: NDArray[Any], notes: NDArray[Any]) -> float:
    return float(nats.sum() / max(notes.sum(), 1))
