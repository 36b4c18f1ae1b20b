"""Training: a labelled collection in, a model folder with its own honest figures out."""

from __future__ import annotations

from fugato.train.composer import train

__all__ = ["train"]
