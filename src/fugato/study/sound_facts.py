"""What can be measured of a recording without knowing what it is: length, level, loudness, spectrum.

Everything is measured on the sound that models hear, mixed to one channel at 22,050 samples a second, in one walk and flat memory. Loudness
follows ITU-R BS.1770-4 (K-weighting, blocks of 400 ms, gates at -70 LUFS and 10 LU below the mean), with the weighting applied to
short-time spectra in place of a filter; of a stereo recording it is that of its mix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.recording import Recording
from fugato.represent.logmel import AMIN, HOP_LENGTH, N_FFT, N_MELS, RANGE, RATE, frame_powers, mel_filters
from fugato.represent.resample import resampled
from fugato.represent.spectral import hann

K_RATE: Final = 48_000  # of the filters in BS.1770-4
SHELF: Final = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585))
HIGH_PASS: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
OFFSET: Final = -0.691  # LUFS of a mean square of 1 after weighting
BLOCK: Final = round(0.4 * RATE / HOP_LENGTH)  # frames of 400 ms
OVERLAP: Final = 4  # blocks begin a quarter of their length apart
GATE: Final = -70.0  # LUFS
RELATIVE_GATE: Final = -10.0  # LU
FULL: Final = 0.9995  # of full scale; samples from there on are clipped, in all likelihood
POWER_BELOW: Final = 0.99  # of the power lies below the frequency that is called the bandwidth
QUIET: Final = -60.0  # dB; frames under it are silence

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SoundFacts:
    """Measurements of one recording.

    Attributes
    ----------
    seconds : float
    rate, channels : int
    format : str
    loudness : float
        LUFS; -70 where every block is quieter.
    peak : float
        Of the samples, in dB of full scale.
    clipped : float
        Share of the samples at full scale.
    quiet : float
        Share of the frames below -60 dB of full scale.
    centroid : float
        Mean frequency of the power, Hz.
    bandwidth : float
        Hz below which 99 % of the power lies.
    profile : ndarray of float64, shape=(128,)
        Mean over time of the log-mel spectrogram, dB below the loudest cell.
    warnings : tuple of str
    """

    seconds: float
    rate: int
    channels: int
    format: str
    loudness: float
    peak: float
    clipped: float
    quiet: float
    centroid: float
    bandwidth: float
    profile: Floats
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the profile."""
        return {
            "seconds": round(self.seconds, 3),
            "rate": self.rate,
            "channels": self.channels,
            "format": self.format,
            "loudness": round(self.loudness, 2),
            "peak": round(self.peak, 2),
            "clipped": float(f"{self.clipped:.3g}"),
            "quiet": round(self.quiet, 4),
            "centroid": round(self.centroid),
            "bandwidth": round(self.bandwidth),
            "warnings": list(self.warnings),
        }


def sound_facts(recording: Recording) -> SoundFacts:
    """Measure a recording.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    SoundFacts

    Raises
    ------
    FugatoError
        As `Recording.mono`: too short, silent, damaged.
    """
    peak, clipped, samples = 0.0, 0, 0

    def heard() -> Iterator[NDArray[np.float32]]:
        nonlocal peak, clipped, samples
        for block in recording.mono():
            level = np.abs(block)
            peak, samples = max(peak, float(level.max())), samples + len(level)
            clipped += int((level >= FULL).sum())
            yield block

    spectrum = np.zeros(1 + N_FFT // 2)
    weighted: list[Floats] = []
    plain: list[Floats] = []
    profile, loudest = _Profile(), 0.0
    for part in frame_powers(resampled(heard(), recording.rate, RATE)):
        spectrum += part.sum(axis=1, dtype=np.float64)
        weighted.append(_k_weights() @ part)
        plain.append(_plain_weights() @ part)
        bands = mel_filters() @ part
        loudest = max(loudest, float(bands.max()))
        profile.add(bands)
    hertz = np.arange(len(spectrum)) * RATE / N_FFT
    below = np.cumsum(spectrum) / max(float(spectrum.sum()), 1e-300)
    return SoundFacts(
        seconds=recording.seconds,
        rate=recording.rate,
        channels=recording.channels,
        format=recording.format,
        loudness=_gated(np.concatenate(weighted)),
        peak=20 * float(np.log10(max(peak, 1e-6))),
        clipped=clipped / max(samples, 1),
        quiet=float((10 * np.log10(np.maximum(np.concatenate(plain), 1e-12)) < QUIET).mean()),
        centroid=float((hertz * spectrum).sum() / max(float(spectrum.sum()), 1e-300)),
        bandwidth=float(hertz[int(np.searchsorted(below, POWER_BELOW))]),
        profile=profile.mean(loudest),
        warnings=recording.warnings,
    )


class _Profile:
    """The mean of decibels whose floor, 80 below the loudest cell, is known only at the end: counted in tenths of a decibel."""

    TENTHS: Final = 10
    LOWEST: Final = -1000  # tenths; a power of 1e-10 is as little as counts
    HIGHEST: Final = 800

    def __init__(self) -> None:
        self._counts = np.zeros((N_MELS, self.HIGHEST - self.LOWEST + 1), np.int64)

    def add(self, powers: NDArray[np.float32]) -> None:
        tenths = np.rint(10 * self.TENTHS * np.log10(np.maximum(powers, AMIN))).astype(np.int64)
        tenths = np.clip(tenths, self.LOWEST, self.HIGHEST) - self.LOWEST
        width = self._counts.shape[1]
        flat = (tenths + width * np.arange(N_MELS)[:, None]).ravel()
        self._counts += np.bincount(flat, minlength=self._counts.size).reshape(self._counts.shape)

    def mean(self, loudest: float) -> Floats:
        top = 10 * np.log10(max(loudest, AMIN))
        level = np.arange(self.LOWEST, self.HIGHEST + 1) / self.TENTHS - top
        counts = self._counts
        out: Floats = counts @ np.clip(level, -RANGE, 0) / np.maximum(counts.sum(axis=1), 1)
        return out


def _gated(mean_square: Floats) -> float:
    """Integrated loudness in LUFS of weighted mean squares of frames, shape=(n,)."""
    step = max(BLOCK // OVERLAP, 1)
    total = np.concatenate(([0.0], np.cumsum(mean_square)))
    starts = np.arange(0, max(len(mean_square) - BLOCK, 0) + 1, step)
    blocks = (total[np.minimum(starts + BLOCK, len(mean_square))] - total[starts]) / min(BLOCK, len(mean_square))
    heard = blocks[_lufs(blocks) > GATE]
    if not len(heard):
        return GATE
    heard = heard[_lufs(heard) > _lufs(heard.mean()) + RELATIVE_GATE]
    return float(_lufs(heard.mean()))


def _lufs(mean_square: Any) -> Any:
    return OFFSET + 10 * np.log10(np.maximum(mean_square, 1e-20))


@lru_cache(maxsize=1)
def _plain_weights() -> Floats:
    """What the bins of a power spectrum count in the mean square of its frame (Parseval), shape=(1025,)."""
    both = np.full(1 + N_FFT // 2, 2.0)
    both[[0, -1]] = 1.0
    return both / (N_FFT * float((hann(N_FFT).astype(np.float64) ** 2).sum()))


@lru_cache(maxsize=1)
def _k_weights() -> Floats:
    """The same after K-weighting: the squared responses of both filters at the frequencies of the bins."""
    turn = np.exp(-2j * np.pi * np.arange(1 + N_FFT // 2) * RATE / N_FFT / K_RATE)
    powers = np.stack([np.ones_like(turn), turn, turn**2])
    response = np.ones(len(turn))
    for above, below in (SHELF, HIGH_PASS):
        response *= np.abs(np.array(above) @ powers) ** 2 / np.abs(np.array(below) @ powers) ** 2
    return _plain_weights() * response
