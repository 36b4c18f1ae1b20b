"""Another sample rate, block by block, by soxr's "HQ" setting, which is librosa's default too.

The filter carries over from one block to the next, so there are no clicks between them, and the result does not depend on how the sound
was cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def resampled(blocks: Iterable[Samples], rate: int, to: int) -> Iterator[Samples]:
    """The same sound at another rate.

    Parameters
    ----------
    blocks : iterable of float32 arrays, shape=(n,)
        Mono sound in order.
    rate, to : int
        Samples a second as they are, and as they shall be.

    Yields
    ------
    ndarray of float32, shape=(m,)
        Together ceil(n x to / rate) samples, as librosa rounds; none of them empty.
    """
    if rate == to:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate, to, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for block in blocks:
        taken += len(block)
        out = stream.resample_chunk(block)
        if len(out):
            given += len(out)
            yield out
    wanted = -(-taken * to // rate)
    rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)[: max(wanted - given, 0)]
    rest = np.pad(rest, (0, max(wanted - given - len(rest), 0)))
    if len(rest):
        yield rest
