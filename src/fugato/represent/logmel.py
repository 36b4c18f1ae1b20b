"""Log-mel spectrograms by librosa's definitions (McFee et al., "librosa: Audio and music signal analysis in Python", SciPy 2015), in
NumPy and in blocks.

22,050 samples a second, mono; frames of 2,048 samples under a Hann window, 512 apart (23 ms), frame t centred at sample 512 t with zeros
beyond both ends; 128 triangular bands from 0 Hz to 11,025 Hz, evenly spaced on Slaney's mel scale (linear up to 1 kHz, logarithmic
above) and of equal area; powers in dB relative to the loudest cell, with what lies 80 dB below it raised to there.

The loudest cell of what? Of the sound that one asks for. `log_mel` takes it over the whole sound, as librosa does for an array. A long
recording is better heard in `pieces` of 30 s, each by itself with its own loudest cell: so one shout does not darken the other two
hours, memory stays flat, one pass is enough, and every piece looks like the clips that genre models are trained on.

A power counts at least 1e-10, as in librosa; so the floor of a recording whose loudest cell has less than 1e-2 is nearer than 80 dB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.recording import LEAST_SECONDS, SILENCE, Recording
from fugato.represent.resample import resampled
from fugato.represent.spectral import power, power_to_db, stft

RATE: Final = 22_050  # samples a second
N_FFT: Final = 2_048  # samples of a frame: 93 ms
HOP_LENGTH: Final = 512
N_MELS: Final = 128
RANGE: Final = 80.0  # dB from the loudest cell down to the floor
SECONDS: Final = 30.0  # of a piece of a long recording
FRAMES: Final = 1_024  # frames whose spectra are held at once
AMIN: Final = 1e-10  # the least power that counts

Samples = NDArray[np.float32]
Sound = Recording | NDArray[Any]


class Piece(NamedTuple):
    """A passage of a recording by itself.

    Attributes
    ----------
    start : float
        Seconds from the start of the recording.
    samples : ndarray of float32, shape=(n,)
        Mono, 22,050 a second.
    """

    start: float
    samples: Samples

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / RATE

    @property
    def silent(self) -> bool:
        """Whether nothing sounds in it, as between two songs."""
        return float(np.ptp(self.samples)) <= SILENCE if len(self.samples) else True


def pieces(recording: Recording, seconds: float = SECONDS) -> Iterator[Piece]:
    """A recording in pieces that follow one another without a gap, each decoded when it is asked for.

    Parameters
    ----------
    recording : Recording
    seconds : float
        Length of a piece. The last lasts from 3 s to 3 s more than the others: a shorter remainder is left with the piece before it.

    Raises
    ------
    FugatoError
        As `Recording.blocks`, when the sound is met that causes it; ``silent`` and ``corrupt`` may come after the last piece.
    """
    size, least = max(round(seconds * RATE), 1), round(LEAST_SECONDS * RATE)
    held: list[Samples] = []
    count = start = 0
    for block in _sound(recording):
        held.append(block)
        count += len(block)
        while count >= size + least:
            joined = np.concatenate(held)
            yield Piece(start / RATE, joined[:size].copy())
            held, count, start = [joined[size:]], count - size, start + size
    if count:
        yield Piece(start / RATE, np.concatenate(held))


def log_mel(sound: Sound, *, ref: float | None = None) -> NDArray[np.float32]:
    """The log-mel spectrogram of a whole sound.

    Parameters
    ----------
    sound : Recording, or ndarray of floats, shape=(n,)
        An array is mono at 22,050 samples a second; a Recording is mixed and resampled.
    ref : float, optional
        The power at 0 dB; by default that of the loudest cell.

    Returns
    -------
    ndarray of float32, shape=(128, 1 + n // 512)
        dB, low bands first; with the default `ref` from -80 to 0. Sound without any power is -80 all over (librosa gives 0). 22 kB for a
        second: two hours are 159 MB.

    Raises
    ------
    FugatoError
        As `Recording.blocks`.
    """
    guess = int(sound.seconds * RATE) if isinstance(sound, Recording) else len(sound)
    cells = np.empty((N_MELS, 2 + guess // HOP_LENGTH), np.float32)
    count, peak = 0, 0.0
    for part in mel_powers(sound):
        if count + part.shape[1] > cells.shape[1]:
            larger = np.empty((N_MELS, max(count + part.shape[1], cells.shape[1] * 3 // 2)), np.float32)
            larger[:, :count] = cells[:, :count]
            cells = larger
        cells[:, count : count + part.shape[1]] = part
        count += part.shape[1]
        peak = max(peak, float(part.max()))
    cells = cells[:, :count]
    if ref is None and peak < AMIN:
        cells.fill(-RANGE)
        return cells
    level = peak if ref is None else ref
    floor = np.float32(10 * np.log10(max(peak, AMIN)) - 10 * np.log10(max(level, AMIN)) - RANGE)
    for at in range(0, count, FRAMES):
        part = cells[:, at : at + FRAMES]
        np.maximum(power_to_db(part, ref=level, amin=AMIN, top_db=None), floor, out=part)
    return cells


def mel_powers(sound: Sound) -> Iterator[NDArray[np.float32]]:
    """The mel spectrogram in order of time, some frames at a time.

    Yields
    ------
    ndarray of float32, shape=(128, n), n at most 1,024
        Power; together 1 + n_samples // 512 frames.
    """
    for spectra in frame_powers(_sound(sound)):
        yield mel_filters() @ spectra


def frame_powers(blocks: Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
    """Power spectra of frames of 2,048 samples, 512 apart, in order of time, some frames at a time.

    Parameters
    ----------
    blocks : iterable of float32 arrays, shape=(n,)
        Mono sound in order, at any rate.

    Yields
    ------
    ndarray of float32, shape=(1025, n), n at most 1,024
        Squared magnitudes; together 1 + n_samples // 512 frames.
    """
    half = N_FFT // 2
    step = FRAMES * HOP_LENGTH
    held = np.zeros(half, np.float32)
    for block in _padded(blocks, half):
        held = np.concatenate((held, block))
        while len(held) >= N_FFT + step:
            yield _whole_frames(held[: N_FFT + step - HOP_LENGTH])
            held = held[step:]
    if len(held) >= N_FFT:
        yield _whole_frames(held)


def _whole_frames(samples: Samples) -> NDArray[np.float32]:
    """Power spectra of all whole frames; those that `stft` fills up with zeros at both ends are left out."""
    edge = N_FFT // 2 // HOP_LENGTH
    count = 1 + (len(samples) - N_FFT) // HOP_LENGTH
    return power(stft(samples, n_fft=N_FFT, hop_length=HOP_LENGTH)[:, edge : edge + count])


def _sound(sound: Sound) -> Iterator[Samples]:
    """Blocks of mono sound at 22,050 samples a second."""
    if isinstance(sound, Recording):
        yield from resampled(sound.mono(), sound.rate, RATE)
    else:
        yield np.asarray(sound, np.float32)


def _padded(blocks: Iterable[Samples], half: int) -> Iterator[Samples]:
    yield from blocks
    yield np.zeros(half, np.float32)


@lru_cache(maxsize=4)
def mel_filters(rate: int = RATE, n_fft: int = N_FFT, n_mels: int = N_MELS) -> NDArray[np.float32]:
    """Triangles on Slaney's mel scale (M. Slaney, "Auditory Toolbox", 1998), each of area 1 over Hz.

    Returns
    -------
    ndarray of float32, shape=(n_mels, 1 + n_fft // 2), read-only
    """
    bins = np.linspace(0, rate / 2, 1 + n_fft // 2)  # Hz
    edges = mel_to_hz(np.linspace(0, hz_to_mel(np.array(rate / 2)), n_mels + 2))
    width = np.diff(edges)
    ramps = edges[:, None] - bins
    rising, falling = -ramps[:-2] / width[:-1, None], ramps[2:] / width[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    out: NDArray[np.float32] = filters.astype(np.float32)
    out.flags.writeable = False
    return out


BREAK_HZ: Final = 1000.0  # the scale is linear up to here, with three mels for 200 Hz
BREAK_MEL: Final = 15.0
LOG_STEP: Final = float(np.log(6.4) / 27)  # 27 mels from 1,000 to 6,400 Hz


def hz_to_mel(hertz: NDArray[Any]) -> NDArray[np.float64]:
    """Slaney's mels of frequencies in Hz, of the same shape."""
    above = BREAK_MEL + np.log(np.maximum(hertz, BREAK_HZ) / BREAK_HZ) / LOG_STEP
    return np.where(hertz < BREAK_HZ, hertz * BREAK_MEL / BREAK_HZ, above)


def mel_to_hz(mels: NDArray[Any]) -> NDArray[np.float64]:
    """Frequencies in Hz of Slaney's mels, of the same shape."""
    above = BREAK_HZ * np.exp(LOG_STEP * (np.maximum(mels, BREAK_MEL) - BREAK_MEL))
    return np.where(mels < BREAK_MEL, mels * BREAK_HZ / BREAK_MEL, above)
