"""What a genre model makes of a passage of sound."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.represent.logmel import HOP_LENGTH, RATE

STRETCH: Final = 3.0  # seconds of the timeline that have a ranking of their own

Floats = NDArray[np.float32]


class Heard(NamedTuple):
    """What a model makes of a passage.

    Attributes
    ----------
    logits : ndarray of float32, shape=(n_labels,)
        Of the whole passage, before calibration.
    strange : bool
        Whether it is unlike everything that was learnt from; false where the model cannot say.
    stretches : ndarray of float32, shape=(n_stretches, n_labels)
        The same for each `STRETCH` of it in turn; the last may be shorter or up to half as long again.
    """

    logits: Floats
    strange: bool
    stretches: Floats


def n_stretches(n_frames: int) -> int:
    """How many stretches a passage of so many frames has on the timeline: one at least."""
    return max(round(n_frames * HOP_LENGTH / RATE / STRETCH), 1)
