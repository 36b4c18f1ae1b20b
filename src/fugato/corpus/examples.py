"""Pieces that come with music21, as examples and as seeds: which of them, and where they lie.

They are public domain, or free for the use made here (music21's ``corpus/license.txt``), and are found without importing music21, which
would take longer than most answers about them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SUFFIXES: Final = (".mxl", ".krn", ".xml", ".musicxml")
LICENCE: Final = "public domain, or free for this use: music21, corpus/license.txt"


class Example(NamedTuple):
    """A piece of music21's corpus.

    Attributes
    ----------
    place : str
        Its path there without the suffix.
    composer : str
        In the house's spelling.
    title : str
    demo : bool
        Whether `fugato demo` asks for it: none of these works was in the training of the shipped model.
    """

    place: str
    composer: str
    title: str
    demo: bool = False

    @property
    def name(self) -> str:
        """A short name, fit for an address."""
        return self.place.replace("/", "-").replace(".", "-").replace("_", "-").lower()

    @property
    def file(self) -> Path | None:
        """Where it lies, or None where this installation has no such file."""
        return next(
            (f for root in corpus_folders() for s in SUFFIXES if (f := root / (self.place + s)).is_file()), None
        )


# Monteverdi is there because the shipped model does not know him.
EXAMPLES: Final[tuple[Example, ...]] = (
    Example("bach/bwv66.6", "Bach", "Chorale BWV 66.6", True),
    Example("handel/rinaldo/Lascia_chio_pianga", "Handel", "Lascia ch'io pianga (Rinaldo)", True),
    Example("haydn/opus74no1/movement3", "Haydn", "String quartet op. 74 no. 1, third movement", True),
    Example("mozart/k156/movement1", "Mozart", "String quartet K. 156, first movement", True),
    Example("beethoven/opus18no1/movement3", "Beethoven", "String quartet op. 18 no. 1, third movement", True),
    Example("schubert/Lindenbaum", "Schubert", "Der Lindenbaum (Winterreise)", True),
    Example("chopin/mazurka06-2", "Chopin", "Mazurka op. 6 no. 2", True),
    Example("schumann_robert/dichterliebe_no2", "Schumann", "Aus meinen Tränen sprießen (Dichterliebe)", True),
    Example("joplin/maple_leaf_rag", "Joplin", "Maple Leaf Rag", True),
    Example("monteverdi/madrigal.3.1", "Monteverdi", "La giovinetta pianta (madrigal, book 3)", True),
    Example("bach/bwv846", "Bach", "Prelude in C major BWV 846"),
    Example("corelli/opus3no1/1grave", "Corelli", "Trio sonata op. 3 no. 1, Grave"),
    Example("haydn/opus1no1/movement1", "Haydn", "String quartet op. 1 no. 1, first movement"),
    Example("mozart/k458/movement1", "Mozart", "String quartet K. 458, first movement"),
    Example("beethoven/opus59no1/movement3", "Beethoven", "String quartet op. 59 no. 1, third movement"),
    Example("schumann_clara/polonaise_op1n1", "C. Schumann", "Polonaise op. 1 no. 1"),
    Example("verdi/laDonnaEMobile", "Verdi", "La donna è mobile (Rigoletto)"),
)


def corpus_folders() -> list[Path]:
    """Where music21's corpus lies; empty where music21 is not installed."""
    spec = importlib.util.find_spec("music21")
    return [Path(place) / "corpus" for place in (spec.submodule_search_locations or [])] if spec else []


def examples() -> Iterator[tuple[Example, Path]]:
    """The examples that this version of music21 holds, each with its file."""
    for example in EXAMPLES:
        path = example.file
        if path is not None:
            yield example, path
