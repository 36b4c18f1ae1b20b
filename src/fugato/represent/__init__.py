"""Scores as arrays: the normalised stream, its n-grams, the piano roll and its windows; sound as spectrograms."""

from __future__ import annotations

from fugato.represent.pianoroll import pianoroll
from fugato.represent.stream import Stream, stream

__all__ = ["Stream", "stream", "pianoroll"]
