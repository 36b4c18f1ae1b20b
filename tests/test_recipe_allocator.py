"""Memory that a training step gives back stays for the next."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest

from fugato.recipes import allocator
from fugato.recipes.allocator import freed_memory_kept

SIZE = 2**27  # bytes: beyond what glibc keeps of itself


def _page_faults() -> int:
    """Of taking a block of `SIZE`, touching all of it, and giving it back."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(SIZE, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _megabytes() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 >> 20


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt"
)
def test_the_second_block_costs_the_system_nothing_and_all_goes_back_in_the_end() -> None:
    usual = [_page_faults() for _ in range(3)][-1]
    with freed_memory_kept():
        _page_faults()
        again = _page_faults()
        held = _megabytes()
    assert usual >= 32 and again <= usual // 8, "with pages of 2 MB there are 64 faults without it"
    assert held - _megabytes() > SIZE >> 21, "half of it at least"
    assert _page_faults() >= 32, "as before"


def test_where_the_c_library_has_no_such_options_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    with freed_memory_kept():
        assert np.ones(3).sum() == 3


def test_it_ends_with_an_error_inside() -> None:
    with pytest.raises(ZeroDivisionError), freed_memory_kept():
        raise ZeroDivisionError
