"""New music: tokens drawn from a trained network under a grammar, guarded against loops and copies, that ends."""

from __future__ import annotations

from fugato.compose.composing import best, compose, stream, variations
from fugato.compose.composition import Composition, NewBar
from fugato.compose.copies import CopyIndex
from fugato.compose.generator import Generator, NoteLikelihood, load_generator
from fugato.compose.playing import humanise

__all__ = [
    "Composition",
    "CopyIndex",
    "Generator",
    "NewBar",
    "NoteLikelihood",
    "best",
    "compose",
    "humanise",
    "load_generator",
    "stream",
    "variations",
]
