"""A process has processor time, and a few times as much by the clock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fugato.read import deadline
from fugato.read.deadline import BY_THE_CLOCK, Allowance, Deadline, processor_seconds

WORKS = "while True: pass"
WAITS = "import time; time.sleep(60)"
LETS_WORK = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKS!r}])"

pytestmark = pytest.mark.skipif(processor_seconds(1) is None, reason="the system does not tell processor times")


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # with what it has started
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("code", [WORKS, LETS_WORK])
def test_the_work_of_a_process_and_of_its_children_counts(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "BY_THE_CLOCK", 100.0)  # the machine may be busy
    with running(code) as process:
        allowance = Allowance(process.pid, 0.4)
        while allowance.left():
            time.sleep(0.02)
        assert (processor_seconds(process.pid) or 0) >= 0.4


def test_one_that_works_is_ended_and_one_that_is_done_is_not() -> None:
    with running(WORKS) as process:
        ends = Deadline(process, 0.3)
        assert process.wait(60) < 0 and ends.late
    with running(WAITS) as process:
        ends = Deadline(process, 0.1)
        ends.cancel()
        time.sleep(0.1 * BY_THE_CLOCK + 0.3)
        assert process.poll() is None and not ends.late


def test_one_that_waits_is_left_alone_for_a_while() -> None:
    with running(WAITS) as process:
        began = time.monotonic()
        ends = Deadline(process, 0.5)
        assert process.wait(60) < 0 and ends.late
        assert time.monotonic() - began > 0.5 * BY_THE_CLOCK * 0.95


def test_one_that_is_gone_has_nothing_left_in_the_end() -> None:
    with running("") as process:
        process.wait()
        allowance = Allowance(process.pid, 0.05)
        time.sleep(0.1)
        assert allowance.left() == 0
    assert processor_seconds(process.pid) is None
