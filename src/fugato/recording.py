"""Recording: audio as blocks of samples, the only type for sound in the house.

A Recording knows its rate, channels and length, and gives its samples in blocks, as often as it is asked; nothing holds it whole. The
blocks are float32 between -1 and 1 (files of floats may go beyond), shape=(n, channels). What is wrong with the sound itself is
found on the way: samples that are no numbers become zeros, and a recording that turns out too short, silent or mostly damaged raises
at its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError

BLOCK: Final = 65_536  # samples of a channel in a block: 1.5 s at 44,100 Hz
LEAST_SECONDS: Final = 3.0  # less is no passage of music to judge
SILENCE: Final = 1e-4  # from the lowest to the highest sample; dithered silence in 16 bits spans 6e-5
LOUDEST: Final = 2.0**31  # floats scaled like 32-bit integers are read as they are; what is beyond them is no sample
DAMAGED_SHARE: Final = 0.5  # of the samples; more that are no numbers is not worth an answer

Samples = NDArray[np.float32]


class Block(NamedTuple):
    """Samples, shape=(n, channels); whether they are the last; and what was mended on the way to them."""

    samples: Samples
    end: bool
    warnings: tuple[str, ...] = ()


class Decoder(Protocol):
    """Something that gives the blocks of a recording one after the other."""

    def read(self, size: int) -> Block:
        """The next samples, at most `size` a channel; fewer only at the end."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Recording:
    """A recording that is decoded a block at a time.

    Parameters
    ----------
    start : callable
        Gives a `Decoder` at the first sample.
    rate : int
        Samples a second of each channel.
    channels : int
    frames : int, optional
        Samples of a channel, as far as the file says; None where it does not.
    format : str
        As libsndfile calls it: "WAV", "FLAC", "OGG", "MP3"...
    name : str, optional
        What to call it in messages.

    Attributes
    ----------
    warnings : tuple of str
        What was mended so far; complete once the recording was read to its end.
    """

    def __init__(
        self,
        start: Callable[[], Decoder],
        *,
        rate: int,
        channels: int,
        frames: int | None = None,
        format: str = "",
        name: str | None = None,
    ) -> None:
        self._start = start
        self.rate = rate
        self.channels = channels
        self.frames = frames
        self.format = format
        self.name = name
        self.warnings: tuple[str, ...] = ()

    @classmethod
    def from_samples(cls, samples: NDArray[Any], rate: int, *, name: str | None = None) -> Recording:
        """A recording of an array, shape=(n,) or (n, channels), at `rate` samples a second.

        Raises
        ------
        FugatoError
            ``too-short``, ``silent`` or ``corrupt``, as `blocks`; ``bad-option`` for another shape or no rate.
        """
        table = np.asarray(samples, np.float32)
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim != 2 or not table.shape[1] or rate <= 0:
            raise FugatoError(
                "bad-option", f"Sound is an array (n,) or (n, channels) and a rate, not {np.shape(samples)} at {rate}."
            )
        made = cls(lambda: _Array(table), rate=rate, channels=table.shape[1], frames=len(table), name=name)
        for _ in made.blocks():
            pass
        return made

    @property
    def seconds(self) -> float:
        """Length in seconds: what the file says, and exact once it was read to its end; 0 where it is not known yet."""
        return (self.frames or 0) / self.rate

    def blocks(self, size: int = BLOCK) -> Iterator[Samples]:
        """All samples in order, from the start at every call.

        Parameters
        ----------
        size : int
            Samples a channel in a block; only the last is shorter.

        Yields
        ------
        ndarray of float32, shape=(n, channels)
            Finite.

        Raises
        ------
        FugatoError
            On the way: ``corrupt``, ``too-large``, ``timeout``. At the end: ``too-short`` (under 3 s), ``silent``, or ``corrupt`` where the
            file broke off before 3 s or half of the samples were no numbers.
        """
        try:
            yield from self._blocks(size)
        except FugatoError as e:
            raise FugatoError(e.kind, e.message, self.name) from e

    def mono(self, size: int = BLOCK) -> Iterator[Samples]:
        """The mean of the channels, block by block, shape=(n,). Errors as `blocks`."""
        low, high = np.inf, -np.inf
        shares = np.full(self.channels, 1 / self.channels, np.float32)
        for block in self.blocks(size):
            mixed = block[:, 0] if self.channels == 1 else block @ shares
            low, high = min(low, float(mixed.min())), max(high, float(mixed.max()))
            yield mixed
        if high - low <= SILENCE:
            raise FugatoError("silent", "Its channels cancel each other out: mixed to one, nothing is left.", self.name)

    def _blocks(self, size: int) -> Iterator[Samples]:
        count = bad = 0
        low, high = np.inf, -np.inf
        broken = False
        decoder = self._start()
        try:
            end = False
            while not end:
                samples, end, warnings = decoder.read(size)
                for warning in warnings:
                    broken = True
                    self._warn(warning)
                if not len(samples):
                    continue
                if not (samples.min() >= -LOUDEST and samples.max() <= LOUDEST):  # so too where one is NaN
                    usable = np.abs(samples) <= LOUDEST
                    bad += int((~usable).sum())
                    samples = np.where(usable, samples, np.float32(0))
                    self._warn("Samples that are no numbers were read as silence.")
                count += len(samples)
                low, high = min(low, float(samples.min())), max(high, float(samples.max()))
                yield samples
        finally:
            decoder.close()
        self.frames = count
        if bad > DAMAGED_SHARE * count * self.channels:
            raise FugatoError("corrupt", f"{bad / (count * self.channels):.0%} of its samples are no numbers.")
        if count < LEAST_SECONDS * self.rate:
            length = f"{self.seconds:.2g} s"
            if broken:
                raise FugatoError("corrupt", f"It is damaged: only {length} of it can be decoded.")
            raise FugatoError("too-short", f"It lasts {length}; at least {LEAST_SECONDS:g} s are needed.")
        if high - low <= SILENCE:
            raise FugatoError("silent", "There is no sound in it: all of it is silence.")

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings = (*self.warnings, warning)

    def __repr__(self) -> str:
        name = os.path.basename(self.name) if self.name else "recording"
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        kind = f", {self.format}" if self.format else ""
        return f"<Recording {name}: {self.seconds:.1f} s, {self.rate} Hz, {channels}{kind}>"


class _Array:
    """The decoder of an array that is there already."""

    def __init__(self, table: Samples) -> None:
        self.table = table
        self.at = 0

    def read(self, size: int) -> Block:
        part = self.table[self.at : self.at + size]
        self.at += len(part)
        return Block(part, self.at >= len(self.table))

    def close(self) -> None:
        pass
