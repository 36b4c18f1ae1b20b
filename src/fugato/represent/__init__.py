"""Scores as arrays: the normalised stream and its n-grams."""

from __future__ import annotations

from fugato.represent.stream import Stream, stream

__all__ = ["Stream", "stream"]
