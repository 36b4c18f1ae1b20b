"""Recordings made by arithmetic, for the tests of sound: music of three invented kinds, and sound that is no music at all.

All are mono float32 between -1 and 1 at 22,050 samples a second, shape=(n,); the same seed gives the same samples. `NO_MUSIC` holds what a
model of genres must call none of its own: test tones, noises, speech-like sound, and sound with long silence in it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE: Final = 22_050
Sound = NDArray[np.float32]
Floats = NDArray[np.float64]

# First three formants of five vowels, Hz (Peterson & Barney, "Control methods used in a study of the vowels", 1952: men).
VOWELS: Final = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
BANDWIDTHS: Final = (80.0, 100.0, 140.0)  # of the formants, Hz


def times(seconds: float) -> Floats:
    return np.arange(round(seconds * RATE)) / RATE


def level(samples: NDArray[Any], peak: float = 0.5) -> Sound:
    """Scaled so that the largest sample is `peak`."""
    return (samples * (peak / max(float(np.abs(samples).max()), 1e-12))).astype(np.float32)


# -- no music ----------------------------------------------------------------------------------------------------------


def tone(hertz: float = 440.0, seconds: float = 6.0, peak: float = 0.5) -> Sound:
    """One sine."""
    return (peak * np.sin(2 * np.pi * hertz * times(seconds))).astype(np.float32)


def square(hertz: float = 220.0, seconds: float = 6.0) -> Sound:
    """A square wave without aliases: its odd harmonics below 10 kHz."""
    t = times(seconds)
    return level(sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, int(10_000 / hertz) + 1, 2)))


def sweep(low: float = 50.0, high: float = 8_000.0, seconds: float = 6.0) -> Sound:
    """A sine whose pitch rises evenly, octave for octave."""
    t = times(seconds)
    rise = np.log(high / low) / seconds
    return level(np.sin(2 * np.pi * low * np.expm1(rise * t) / rise))


def hum(seconds: float = 6.0) -> Sound:
    """The mains: 50 Hz and its first harmonics."""
    t = times(seconds)
    return level(sum(np.sin(2 * np.pi * 50 * k * t + k) / k**2 for k in (1, 2, 3, 4, 6)))


def dialling(seconds: float = 6.0, seed: int = 0) -> Sound:
    """Telephone keys, two sines each, with pauses."""
    keys = np.random.default_rng(seed).integers(0, 4, (round(seconds / 0.2) + 1, 2))
    t = times(seconds)
    key = keys[(t / 0.2).astype(int)]
    low, high = np.array([697, 770, 852, 941])[key[:, 0]], np.array([1209, 1336, 1477, 1633])[key[:, 1]]
    return level((np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t)) * (t % 0.2 < 0.1))


def noise(colour: float = 0.0, seconds: float = 6.0, seed: int = 0) -> Sound:
    """Noise whose power falls as frequency to the power of -`colour`: 0 white, 1 pink, 2 brown."""
    n = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum /= np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20.0) ** (colour / 2)
    return level(np.fft.irfft(spectrum, n))


def clicks(seconds: float = 6.0, every: float = 0.5) -> Sound:
    """A metronome, and nothing else."""
    t = times(seconds) % every
    return level(np.exp(-t / 0.004) * np.sin(2 * np.pi * 1_800 * t))


def applause(seconds: float = 6.0, seed: int = 0) -> Sound:
    """Many claps at random."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    hits = np.zeros(n)
    np.add.at(hits, rng.integers(0, n, round(seconds * 80)), rng.uniform(0.2, 1.0, round(seconds * 80)))
    clap = np.exp(-times(0.03) / 0.006) * rng.standard_normal(len(times(0.03)))
    size = 1 << (n + len(clap)).bit_length()
    return level(np.fft.irfft(np.fft.rfft(hits, size) * np.fft.rfft(clap, size), size)[:n])


def speech(seconds: float = 6.0, seed: int = 0) -> Sound:
    """Sound like speech: vowels of a falling voice through three formants, hisses between them, pauses between phrases."""
    rng = np.random.default_rng(seed)
    t = times(seconds)
    syllable = np.floor(t / 0.22).astype(int)
    count = int(syllable[-1]) + 1
    vowel = np.array(VOWELS, float)[rng.integers(0, len(VOWELS), count + 1)]
    glide = np.clip((t / 0.22 - syllable) * 2, 0, 1)[:, None]
    before = vowel[np.maximum(syllable - 1, 0)]
    formants = before + (vowel[syllable] - before) * glide  # (n, 3)
    pitch = rng.uniform(95, 150) * (1.15 - 0.3 * (t % 1.7) / 1.7) * (1 + 0.02 * np.sin(2 * np.pi * 4.7 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = np.zeros(len(t))
    for k in range(1, 36):
        gain = sum(
            w / (1 + ((k * pitch - formants[:, i]) / b) ** 2)
            for i, (w, b) in enumerate(zip((1, 0.5, 0.25), BANDWIDTHS, strict=True))
        )
        voice += gain / k**0.5 * np.sin(k * phase)
    within = (t / 0.22) % 1
    voiced = np.clip(np.sin(np.pi * within), 0, 1) ** 0.5
    hiss = np.diff(rng.standard_normal(len(t) + 1)) * (within < 0.25) * (rng.random(count) < 0.6)[syllable] * 0.25
    return level((voice * voiced + hiss) * (t % 1.9 < 1.55))


def silence_between(seconds: float = 9.0, seed: int = 0) -> Sound:
    """Two seconds of a chord, silence, two seconds of another chord."""
    out = np.zeros(round(seconds * RATE), np.float32)
    for start, first in ((0.0, 57), (seconds - 2.0, 60)):
        at = round(start * RATE)
        part = chords(2.0, seed + first)
        out[at : at + len(part)] = part[: len(out) - at]
    return out


# -- music -------------------------------------------------------------------------------------------------------------


def _hertz(pitch: Any) -> Any:
    return 440.0 * 2.0 ** ((np.asarray(pitch, float) - 69) / 12)


def chords(seconds: float = 6.0, seed: int = 0) -> Sound:
    """Soft triads of two seconds with slow attacks: few highs, no beat."""
    rng = np.random.default_rng(seed)
    t = times(seconds)
    out = np.zeros(len(t))
    for start in np.arange(0, seconds, 2.0):
        at = t - start
        root = rng.integers(48, 60)
        body = np.clip(at / 0.3, 0, 1) * np.clip((2.2 - at) / 0.4, 0, 1)
        for pitch in root + np.array([0, rng.choice([3, 4]), 7, 12]):
            out += body * sum(np.sin(2 * np.pi * _hertz(pitch) * k * at) / k**2 for k in (1, 2, 3))
    return level(out + 0.002 * rng.standard_normal(len(t)), 0.3)


def beat(seconds: float = 6.0, seed: int = 0) -> Sound:
    """A bass drum on the beat, a bright cymbal between, a saw-tooth bass: loud, with all frequencies."""
    rng = np.random.default_rng(seed)
    t = times(seconds)
    pulse = 60.0 / rng.integers(110, 140)
    at = t % pulse
    drum = np.exp(-at / 0.09) * np.sin(2 * np.pi * (50 * at + 4 * (1 - np.exp(-at / 0.02))))
    half = (t + pulse / 2) % pulse
    cymbal = np.exp(-half / 0.05) * np.diff(rng.standard_normal(len(t) + 1))
    steps = _hertz(rng.integers(33, 45, int(seconds / pulse) + 2))[(t / pulse).astype(int)]
    phase = np.cumsum(steps) / RATE
    return level(drum + 0.25 * cymbal + 0.5 * (2 * (phase % 1) - 1), 0.9)


def melody(seconds: float = 6.0, seed: int = 0) -> Sound:
    """One plucked line of sixteenths above 500 Hz."""
    rng = np.random.default_rng(seed)
    t = times(seconds)
    length = 0.15
    note = (t / length).astype(int)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    hertz = _hertz(72 + scale[np.clip(np.cumsum(rng.integers(-2, 3, note[-1] + 1)) % 10, 0, 9)])[note]
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    body = np.exp(-(t % length) / 0.07)
    return level(body * sum(np.sin(k * phase) / k for k in range(1, 6)) + 0.001 * rng.standard_normal(len(t)), 0.5)


KINDS: Final[Mapping[str, Callable[[float, int], Sound]]] = {"beat": beat, "chords": chords, "melody": melody}
NO_MUSIC: Final[Mapping[str, Callable[[float], Sound]]] = {
    "sine": lambda seconds: tone(1_000.0, seconds),
    "square wave": lambda seconds: square(seconds=seconds),
    "sweep": lambda seconds: sweep(seconds=seconds),
    "hum of the mains": hum,
    "telephone keys": dialling,
    "white noise": lambda seconds: noise(0.0, seconds),
    "pink noise": lambda seconds: noise(1.0, seconds),
    "brown noise": lambda seconds: noise(2.0, seconds),
    "metronome": clicks,
    "applause": applause,
    "speech": speech,
    "silence between": lambda seconds: silence_between(max(seconds, 6.0)),
}


# -- files -------------------------------------------------------------------------------------------------------------


def encoded(samples: NDArray[Any], form: str = "WAV", rate: int = RATE, subtype: str | None = None) -> bytes:
    """A sound file of an array, shape=(n,) or (n, channels)."""
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=subtype)
    return out.getvalue()


def write_genres(root: Path, each: int = 3, seconds: float = 4.0) -> Path:
    """A folder for each of `KINDS` with `each` recordings in different formats; the same each time."""
    for kind, make in KINDS.items():
        (root / kind).mkdir(parents=True, exist_ok=True)
        for seed in range(each):
            form, suffix = (("WAV", "wav"), ("FLAC", "flac"), ("OGG", "ogg"))[seed % 3]
            (root / kind / f"{kind}.{seed:05d}.{suffix}").write_bytes(encoded(make(seconds, seed), form))
    return root
