"""New music from a seed, in a gap of it, or from nothing: what users call."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from fugato.compose.composition import Composition, NewBar
from fugato.compose.defaults import GUIDANCE, TEMPERATURE, TOP_P
from fugato.compose.generator import Generator, load_generator
from fugato.compose.request import Request
from fugato.errors import FugatoError
from fugato.models import Model
from fugato.read.files import Source
from fugato.score import Score


def compose(
    style: str | None = None,
    seed: Source | Score | None = None,
    *,
    seed_composer: str | None = None,
    bars: int | None = None,
    seconds: float | None = None,
    infill: tuple[int, int] | None = None,
    temperature: float = TEMPERATURE,
    top_p: float = TOP_P,
    guidance: float = GUIDANCE,
    random_seed: int | None = None,
    tempo: float | None = None,
    key: str | None = None,
    program: int | None = None,
    humanise: float = 0.0,
    model: str | os.PathLike[str] | Model | Generator = "compose",
) -> Composition:
    """Write new music.

    Parameters
    ----------
    style : str, optional
        A composer or a period that the model knows; a composer it does not know stands for the period.
    seed : path, bytes, file object or Score, optional
        Music to go on from; without it the piece begins from nothing.
    seed_composer : str, optional
        In place of `seed`: the first bars of a piece by that composer, from those that come with music21.
    bars : int, optional
        New bars, 32 where neither this nor `seconds` is given.
    seconds : float, optional
        Length of the new music, to the nearest bar.
    infill : (int, int), optional
        First and last bar of the seed, from 1, that are written anew; all else stays.
    temperature : float
        Below 1 plainer, above 1 wilder.
    top_p : float
        Share of probability that is drawn from; 1 is all.
    guidance : float
        How strongly the style pulls: 1 as learnt, more exaggerates, 0 ignores it.
    random_seed : int, optional
        Same seed, same piece; drawn, and told in the result, where left out.
    tempo : float, optional
        Quarter notes a minute; the seed's, or the usual one of the style.
    key : str, optional
        "C" or "F# major", "a minor", "B-"; the seed's, or drawn.
    program : int, optional
        General MIDI program, 0 to 127, of all parts.
    humanise : float
        MIDI and sound are played with phrasing and accents, 1 as people do on average (`fugato.compose.humanise`); 0 plays as written.
    model : str, path, Model or Generator

    Returns
    -------
    Composition

    Raises
    ------
    FugatoError
        ``no-model``; ``bad-option``; what `fugato.read` refuses; ``unsupported`` for a seed without a beat.

    Examples
    --------
    >>> import fugato
    >>> piece = fugato.compose(style="Chopin", seed="my.mid", bars=32, random_seed=7)  # doctest: +SKIP
    >>> fugato.write(piece.score, "out.mid")  # doctest: +SKIP
    """
    if random_seed is None:
        random_seed = secrets.randbelow(2**31)
    request = Request(
        style,
        seed,
        seed_composer,
        bars,
        seconds,
        infill,
        temperature,
        top_p,
        guidance,
        random_seed,
        tempo,
        key,
        program,
        humanise,
        model,
    )
    return request.written()


def stream(
    style: str | None = None, seed: Source | Score | None = None, **options: Any
) -> Iterator[NewBar | Composition]:
    """The same bar by bar: a `NewBar` as soon as it is finished, and the `Composition` at the end.

    Parameters as `compose`. Only models of the recipe remi-transformer write bar by bar.
    """
    given: dict[str, Any] = {"random_seed": secrets.randbelow(2**31), "model": "compose"}
    given.update({name: value for name, value in options.items() if value is not None})
    request = Request(style, seed, **given)
    job = request.start()
    for bar in job:
        yield request.new_bar(job, bar)
    yield request.finish(job)


def variations(number: int, keep: int = 1, *, random_seed: int | None = None, **options: Any) -> list[Composition]:
    """Several pieces with seeds of their own, the best ones of them by the critic, best first.

    The critic hears what the network says of its own notes: how much likelier the style makes them, less how far their likelihood lies
    from that of real music; what is far too likely is dull, what is far too unlikely is chaos.

    Parameters
    ----------
    number, keep : int
        How many are written, and how many come back.
    random_seed : int, optional
        Of the first; the others count on from it.
    options
        As `compose`.
    """
    if not 1 <= keep <= number:
        raise FugatoError("bad-option", f"Of {number} variations {keep} cannot be kept.")
    first = secrets.randbelow(2**31) if random_seed is None else random_seed
    model = options.get("model", "compose")
    if isinstance(model, str | os.PathLike | Model):
        options["model"] = load_generator(model)  # once for all
    return best([compose(random_seed=first + i, **options) for i in range(number)], keep)


def best(pieces: Iterable[Composition], keep: int) -> list[Composition]:
    """The `keep` pieces that the critic of `variations` likes best, best first."""
    return sorted(pieces, key=lambda piece: -float(piece.report.get("critic_score") or 0.0))[:keep]
