"""A recording small enough to be drawn: its waveform, spectra and coefficients in some hundred columns, however long it lasts.

A column stands for as many frames as it must: powers are averaged, of a waveform the lowest and the highest sample are kept. While a
recording of unknown length is read, neighbouring columns are joined whenever there are twice as many as wanted. So memory is flat, one walk
through the recording is enough (two, where it is resampled and the spectra of both rates are wanted), and a short clip keeps every frame.

Waveform, power spectrum and STFT are those of the recording at its own rate, mixed to one channel; the mel spectrogram and the MFCC are
those that models hear (`fugato.represent.logmel`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.recording import Recording
from fugato.represent.logmel import (
    AMIN,
    HOP_LENGTH,
    N_FFT,
    N_MELS,
    RANGE,
    RATE,
    frame_powers,
    hz_to_mel,
    mel_filters,
    mel_to_hz,
)
from fugato.represent.mfcc import N_MFCC, cepstrum
from fugato.represent.resample import resampled
from fugato.represent.spectral import hann, power_to_db
from fugato.write.sound_picture import Outline, SoundView

COLUMNS: Final = 700  # at least, and less than twice as many, where there are so many frames
WAVE: Final = 900  # columns of the waveform
STEP: Final = 64  # samples of the smallest column of a waveform

Floats = NDArray[np.float32]


def outline(recording: Recording) -> Outline:
    """Waveform and log-mel spectrogram, in one walk.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    Outline

    Raises
    ------
    FugatoError
        As `Recording.mono`.
    """
    wave, mel = _Wave(), _Means(N_MELS)
    for part in frame_powers(resampled(_heard(recording, wave.add), recording.rate, RATE)):
        mel.add(mel_filters() @ part)
    return _outline(recording, wave, mel)


def sound_view(recording: Recording) -> SoundView:
    """Waveform, power spectrum, STFT, log-mel spectrogram and MFCC.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    SoundView

    Raises
    ------
    FugatoError
        As `Recording.mono`.
    """
    wave, mel, bins = _Wave(), _Means(N_MELS), _Means(1 + N_FFT // 2)
    total = np.zeros(1 + N_FFT // 2)
    for part in frame_powers(_heard(recording, wave.add)):
        bins.add(part)
        total += part.sum(axis=1, dtype=np.float64)
        if recording.rate == RATE:
            mel.add(mel_filters() @ part)
    if recording.rate != RATE:
        for part in frame_powers(resampled(recording.mono(), recording.rate, RATE)):
            mel.add(mel_filters() @ part)
    full_scale = (float(hann(N_FFT).sum()) / 2) ** 2  # power of a sine from -1 to 1 in its bin
    return SoundView(
        outline=_outline(recording, wave, mel),
        hertz=np.arange(1 + N_FFT // 2) * recording.rate / N_FFT,
        spectrum=(10 * np.log10(np.maximum(total / bins.frames / full_scale, 1e-12))).astype(np.float32),
        stft=_decibels(bins.columns()),
        stft_column=bins.size * HOP_LENGTH / recording.rate,
        mfcc=cepstrum(power_to_db(mel.columns(), top_db=RANGE), n_mfcc=N_MFCC),
    )


def _outline(recording: Recording, wave: _Wave, mel: _Means) -> Outline:
    edges = mel_to_hz(np.linspace(0, hz_to_mel(np.array(RATE / 2)), N_MELS + 2))
    return Outline(
        name=recording.name or "",
        seconds=recording.seconds,
        rate=recording.rate,
        channels=recording.channels,
        format=recording.format,
        wave=wave.columns(),
        wave_column=wave.size * STEP / recording.rate,
        mel=_decibels(mel.columns()),
        mel_column=mel.size * HOP_LENGTH / RATE,
        mel_hertz=edges[1:-1],
        warnings=recording.warnings,
    )


def _decibels(powers: Floats) -> Floats:
    return power_to_db(powers, ref=max(float(powers.max()), AMIN), amin=AMIN, top_db=RANGE)


def _heard(recording: Recording, by: Callable[[Floats], None]) -> Iterator[Floats]:
    for block in recording.mono():
        by(block)
        yield block


class _Columns:
    """Frames of `height` numbers in order, joined to at least `least` and fewer than twice as many columns.

    Attributes
    ----------
    size : int
        Frames of a column.
    frames : int
        Seen so far.
    """

    def __init__(self, height: int, least: int, join: Callable[..., Any]) -> None:
        self._join = join
        self._cells = np.empty((height, 2 * least), np.float32)
        self._count = 0
        self._rest = np.empty((height, 0), np.float32)
        self.size = 1
        self.frames = 0

    def add(self, frames: Floats) -> None:
        """Frames, shape=(height, n), after those before."""
        self.frames += frames.shape[1]
        held = np.concatenate((self._rest, frames), axis=1)
        while held.shape[1] >= self.size:
            whole = min(held.shape[1] // self.size, self._cells.shape[1] - self._count)
            part = held[:, : whole * self.size].reshape(len(held), whole, self.size)
            self._cells[:, self._count : self._count + whole] = self._join(part, axis=2)
            held, self._count = held[:, whole * self.size :], self._count + whole
            if self._count == self._cells.shape[1]:
                self._count //= 2
                pairs = self._cells.reshape(len(held), self._count, 2)
                self._cells[:, : self._count] = self._join(pairs, axis=2)
                self.size *= 2
        self._rest = held.copy()

    def columns(self) -> Floats:
        """All columns, shape=(height, n); the last may stand for fewer frames than the others."""
        last = self._join(self._rest, axis=1)[:, None] if self._rest.shape[1] else self._rest
        return np.concatenate((self._cells[:, : self._count], last), axis=1)


class _Means(_Columns):
    """Powers; a column is the mean of its frames."""

    def __init__(self, height: int) -> None:
        super().__init__(height, COLUMNS, np.mean)


class _Wave:
    """The lowest and the highest sample of every column of a waveform."""

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)
        self._both = _Columns(2, WAVE, np.max)  # of the negative and of the samples themselves

    @property
    def size(self) -> int:
        return self._both.size

    def add(self, samples: Floats) -> None:
        held = np.concatenate((self._held, samples))
        whole = len(held) // STEP
        steps = held[: whole * STEP].reshape(whole, STEP)
        if whole:
            self._both.add(np.stack([(-steps).max(axis=1), steps.max(axis=1)]))
        self._held = held[whole * STEP :]

    def columns(self) -> Floats:
        """Lowest and highest, shape=(2, n)."""
        if len(self._held):
            self._both.add(np.array([[-self._held.min()], [self._held.max()]], np.float32))
            self._held = self._held[:0]
        both = self._both.columns()
        return np.stack([-both[0], both[1]])
