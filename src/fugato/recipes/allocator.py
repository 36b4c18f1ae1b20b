"""What PyTorch's tensors cost on the CPU besides arithmetic: memory that a step gives back and the next step asks for again."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Options of glibc's mallopt(3).
TRIM_THRESHOLD: Final = -1
MMAP_THRESHOLD: Final = -3
MOST: Final = 2**31 - 1  # an int's
USUAL: Final = 32 * 2**20  # where glibc's own threshold ends, which rises with the blocks that are given back


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within it, memory given back stays with the process; afterwards what is free of it goes back to the system.

    glibc gives large blocks back at once and gets them anew from the system, which fills each page with zeros as it is touched. The
    tensors of a training step are the same from step to step, so that a third to two thirds of a step of small networks went into
    that. Where the C library has no ``mallopt`` (macOS, Windows, musl), nothing changes.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(MMAP_THRESHOLD, MOST)
    library.mallopt(TRIM_THRESHOLD, MOST)
    try:
        yield
    finally:
        library.mallopt(MMAP_THRESHOLD, USUAL)
        library.mallopt(TRIM_THRESHOLD, 2 * USUAL)
        library.malloc_trim(0)
