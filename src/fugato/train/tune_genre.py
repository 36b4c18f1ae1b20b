"""What a trial of `fugato.train.tune` is for a recipe that names genres; recordings are heard once for all trials.

Networks are tried on the artists, or recordings, that `fugato.train.genre.train_genre` with the same seed learns from and stops by.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fugato.corpus.sounds import load_sounds
from fugato.train import attempts
from fugato.train.genre import FOLDS, check_recipe, described, encoded, fewest_groups, heard_passages, windows_of
from fugato.train.told import Progress

__all__ = ["attempts_on", "check_recipe"]

OF_WINDOWS: Final = "accuracy over the windows of the artists or recordings to stop by, in the epoch that is kept"


def attempts_on(
    how: Any,
    data: str | os.PathLike[str],
    folder: Path,
    *,
    encoder: str | os.PathLike[str] | None,
    budget: str,
    fixed: Mapping[str, float],
    highest: Mapping[str, float],
    seed: int,
    progress: Progress | None,
) -> tuple[attempts.Attempt, str, list[Any]]:
    """What a trial is, what its figure measures, and what the trials depend on: the recordings.

    Parameters
    ----------
    how, data, encoder, budget
        As `fugato.train.genre.train_genre`.
    folder : Path
        For spectrograms and checkpoints.
    fixed : mapping
        Settings that are not searched.
    highest : mapping
        The highest value of each that is: what is prepared for it serves the lower ones.
    seed : int
    progress : callable, optional
    """
    if hasattr(how, "kind"):
        passages = heard_passages(how, data, folder / "passages", progress)
        windows = windows_of(passages, how)
        groups = list(passages.groups)
        options: dict[str, Any] = {"budget": budget, "fixed": fixed, "seed": seed}
        attempt = attempts.of_network(how, windows, list(passages.genres), groups, folder, **options)
        return attempt, OF_WINDOWS, [[piece.id, piece.composer, piece.group] for piece in windows.pieces]
    settings = {**fixed, **highest}
    if encoder is not None:
        ready = encoded(how, load_sounds(data), encoder, FOLDS, seed, progress, settings)
    else:
        passages = heard_passages(how, data, folder / "passages", progress)
        ready = described(how, passages, min(FOLDS, fewest_groups(passages.clips)), seed, progress, settings)
    attempt = attempts.of_folds(ready.fitting, ready.prepared, ready.labels, ready.groups, ready.split, fixed=fixed)
    pieces: list[Any] = [
        [clip.id, *about] for clip, *about in zip(ready.clips, ready.labels, ready.groups, strict=True)
    ]
    if encoder is not None:
        pieces.append(ready.prepared.encoder["fingerprint"])
    return attempt, f"balanced accuracy, {len(ready.split.parts)}-fold over artists or recordings", pieces
