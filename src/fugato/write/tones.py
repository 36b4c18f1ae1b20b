"""Single tones for the synthesiser, as sums of partials, and drums as shaped noise.

A tone is a sum of damped sinusoids, so no sample of it is aliased and none is recorded: there is nothing to ship and nothing to
licence. The piano follows the physics of its strings as far as the ear cares: partials are stretched by stiffness (Rigaud, David &
Daudet, "A parametric model and estimation techniques for the inharmonicity and tuning of the piano", JASA 133, 2013), the hammer
leaves out partials with a node where it strikes, and a quick decay turns into a slow one (Weinreich, "Coupled piano strings",
JASA 62, 1977). A blow of the hammer is a cluster of partials that die within hundredths of a second. The other families differ in
spectrum, attack and decay; they are kin of their instruments, not portraits.

Amplitudes are such that the partials of any tone have the power of one sinusoid of amplitude 1. Times are in seconds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]

BAND: Final = 0.46  # of the sample rate: partials above are left out
PARTIALS: Final = 40
FAINT: Final = 1e-4  # partials this much below the strongest are left out (-80 dB)
T60: Final = math.log(1000.0)  # a decay of r per second falls by 60 dB in T60 / r seconds
LAYERS: Final = 4  # shades from soft to loud
BLOCK: Final = 128  # samples; see `damped`
CACHED: Final = 1.0  # tones up to this long are kept
_TUNING: Final = 440.0  # Hz, of A4 = MIDI 69


class Family(NamedTuple):
    """How a group of instruments begins and ends a note; `sustained` ones sound until it ends."""

    name: str
    sustained: bool
    attack: float
    release: float


PIANO: Final = Family("piano", False, 0.003, 0.12)
PLUCKED: Final = Family("plucked", False, 0.002, 0.15)
ORGAN: Final = Family("organ", True, 0.012, 0.06)
STRINGS: Final = Family("strings", True, 0.06, 0.12)
WINDS: Final = Family("winds", True, 0.03, 0.06)
FAMILIES: Final = (PIANO, PLUCKED, ORGAN, STRINGS, WINDS)
UNDAMPED: Final = 90  # from this key up, piano strings have no dampers
UNDAMPED_RELEASE: Final = 0.5


def family_of(program: int) -> Family:
    """The family that plays a General MIDI program, 0..127."""
    if program < 6:
        return PIANO
    if program < 16 or 24 <= program < 40 or program in (45, 46, 47):  # harpsichord, mallets, guitars, basses, harp
        return PLUCKED
    if program < 24:
        return ORGAN
    if program < 56 or 88 <= program < 104:  # bowed strings, choirs, pads
        return STRINGS
    return WINDS if program < 88 else PLUCKED  # brass, reeds, pipes, leads; then sitar, koto, steel drums


def release_of(family: Family, pitch: int) -> float:
    """Seconds for which a note is heard after its key is let go."""
    return UNDAMPED_RELEASE if family is PIANO and pitch >= UNDAMPED else family.release


def frequency_of(pitch: int) -> float:
    """Hz of a MIDI pitch in equal temperament."""
    return float(_TUNING * 2.0 ** ((pitch - 69) / 12))


def tone(family: Family, pitch: int, layer: int, seconds: float, rate: int) -> Samples:
    """One note with its attack and without its end.

    Parameters
    ----------
    family : Family
    pitch : int, MIDI
    layer : int, 0 (soft, dull) to LAYERS - 1 (loud, bright)
    seconds : float
    rate : int, samples a second

    Returns
    -------
    ndarray of float32, shape=(ceil(seconds x rate),), read-only
        Silence where even the fundamental is above what the rate can hold.
    """
    if seconds <= CACHED:
        return _kept(family, pitch, layer, seconds, rate)
    return _tone(family, pitch, layer, seconds, rate)


def _tone(family: Family, pitch: int, layer: int, seconds: float, rate: int) -> Samples:
    n = math.ceil(seconds * rate)
    frequency, amplitude, decay = _PARTIALS[family.name](pitch, layer)
    heard = (frequency < BAND * rate) & (amplitude > FAINT * amplitude.max())
    if not heard[0]:
        return _fixed(np.zeros(n, np.float32))
    frequency, amplitude, decay = frequency[heard], amplitude[heard], decay[heard]
    amplitude = amplitude / np.sqrt(np.sum(amplitude**2))
    if family is PIANO:
        frequency, amplitude, decay = _struck(frequency, amplitude, decay, pitch, layer)
        heard = frequency < BAND * rate
        frequency, amplitude, decay = frequency[heard], amplitude[heard], decay[heard]
    samples = damped(frequency, amplitude, decay, n, rate)
    rise = min(math.ceil(family.attack * rate), n)
    samples[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    return _fixed(samples)


_kept = lru_cache(maxsize=600)(_tone)  # at 22,050 samples a second at most 53 MB, usually half


def damped(frequency: Floats, amplitude: Floats, decay: Floats, n: int, rate: int) -> Samples:
    """A sum of damped sinusoids.

    With z = exp((-decay + 2 pi i frequency) / rate), sample j is the real part of a sum of c z ** j, and z ** j is
    z ** (a BLOCK) times z ** k where j = a BLOCK + k: a product of two small matrices, some fifty times faster than a sine
    for each sample and partial.

    Parameters
    ----------
    frequency, amplitude, decay : ndarray, shape=(n_partials,)
        Hz; of any unit; per second.

    Returns
    -------
    ndarray of float32, shape=(n,)
    """
    step = (-decay + 2j * np.pi * frequency) / rate
    phase = 2j * np.pi * (0.618034 * np.arange(len(step)) % 1.0) - 0.5j * np.pi  # spread, so that peaks do not add up
    blocks = -(-n // BLOCK)
    coarse = np.exp(np.arange(blocks)[:, None] * BLOCK * step + phase) * amplitude  # (blocks, n_partials)
    fine = np.exp(step[:, None] * np.arange(BLOCK))  # (n_partials, BLOCK)
    left = np.concatenate((coarse.real, -coarse.imag), axis=1).astype(np.float32)
    right = np.concatenate((fine.real, fine.imag)).astype(np.float32)
    product: Samples = left @ right
    return product.reshape(-1)[:n]


def _fixed(samples: Samples) -> Samples:
    samples.flags.writeable = False
    return samples


# -- spectra: frequency (Hz), amplitude and decay (per second) of the partials, the fundamental first ----------------------


def _piano(pitch: int, layer: int) -> tuple[Floats, Floats, Floats]:
    k = np.arange(1, PARTIALS + 1, dtype=np.float64)
    stiffness = math.exp(0.0926 * pitch - 13.64) + math.exp(-0.0847 * pitch - 5.82)
    frequency = frequency_of(pitch) * k * np.sqrt((1 + stiffness * k**2) / (1 + stiffness))
    fall = 0.12 * 2.0 ** ((pitch - 21) / 26) * (1.4, 1.1, 0.9, 0.75)[layer]  # a bass string has many partials
    hammer = np.abs(np.sin(np.pi * k / 8)) + 0.15  # strikes at an eighth of the string
    board = 1 / (1 + (50.0 / frequency) ** 2)  # a soundboard hardly moves the air below 50 Hz
    decay = T60 / (20.0 * 2.0 ** (-(pitch - 21) / 24)) * (1 + 0.2 * (k - 1))  # at first 3 dB/s (A0), 9 (C4), 27 (C7)
    return frequency, hammer * board * np.exp(-fall * (k - 1)), decay


def _struck(
    frequency: Floats, amplitude: Floats, decay: Floats, pitch: int, layer: int
) -> tuple[Floats, Floats, Floats]:
    """Partials of a piano string with their slow aftersound and the knock of the hammer."""
    rng = np.random.default_rng(1000 + pitch)
    knock = np.geomspace(90.0, 2500.0, 24) * rng.uniform(0.94, 1.06, 24)
    loudness = (0.06, 0.1, 0.15, 0.22)[layer] / math.sqrt(24)  # of each; together -24 to -13 dB of the string
    return (
        np.concatenate((frequency, frequency * 1.0002, knock)),  # 0.35 cents apart: a slow beat
        np.concatenate((0.82 * amplitude, 0.18 * amplitude, np.full(24, loudness))),
        np.concatenate((decay, decay / 4, rng.uniform(60.0, 160.0, 24))),
    )


def _plucked(pitch: int, layer: int) -> tuple[Floats, Floats, Floats]:
    k = np.arange(1, PARTIALS + 1, dtype=np.float64)
    frequency = frequency_of(pitch) * k * np.sqrt((1 + 5e-5 * k**2) / (1 + 5e-5))
    plucked = np.abs(np.sin(np.pi * k / 5)) + 0.05  # at a fifth of the string
    amplitude = plucked * k ** -(1.5, 1.3, 1.15, 1.0)[layer] * np.exp(-frequency / 5000.0)
    decay = T60 / (4.0 * 2.0 ** (-(pitch - 48) / 20)) * (1 + 0.15 * (k - 1))
    return frequency, amplitude, decay


def _organ(pitch: int, layer: int) -> tuple[Floats, Floats, Floats]:
    k = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0])  # registers of 8, 4, 2 2/3, 2, 1 1/3 and 1 foot
    return frequency_of(pitch) * k, np.array([1.0, 0.7, 0.35, 0.4, 0.15, 0.2]), np.zeros(6)


def _strings(pitch: int, layer: int) -> tuple[Floats, Floats, Floats]:
    k = np.arange(1, 25, dtype=np.float64)
    frequency = frequency_of(pitch) * k
    amplitude = k ** -(1.4, 1.25, 1.1, 1.0)[layer] * np.exp(-frequency / 5000.0)  # bowing: a sawtooth, less the top
    second = frequency * 2.0 ** (2.5 / 1200)  # another player, less than two hundredths of a tone higher
    return np.concatenate((frequency, second)), np.concatenate((amplitude, 0.35 * amplitude)), np.zeros(48)


def _winds(pitch: int, layer: int) -> tuple[Floats, Floats, Floats]:
    k = np.arange(1, 17, dtype=np.float64)
    frequency = frequency_of(pitch) * k
    amplitude = k ** -(1.8, 1.5, 1.25, 1.05)[layer] * np.where(k % 2 == 0, 0.5, 1.0) * np.exp(-frequency / 6000.0)
    return frequency, amplitude, np.zeros(16)


_PARTIALS: Final = {"piano": _piano, "plucked": _plucked, "organ": _organ, "strings": _strings, "winds": _winds}


# -- drums -----------------------------------------------------------------------------------------------------------------


class Drum(NamedTuple):
    """A head that sounds from `high` to `low` Hz, with rattling noise in a share of `noise`; dies in `seconds`."""

    high: float
    low: float
    noise: float
    bright: bool
    seconds: float


def drum_of(key: int) -> Drum:
    """What stands for a key of the General MIDI drum map."""
    if key in (35, 36):
        return Drum(150, 48, 0.05, False, 0.35)  # bass drum
    if key in (37, 38, 39, 40):
        return Drum(220, 170, 0.7, False, 0.22)  # snare, side stick, clap
    if key in (41, 43, 45, 47, 48, 50):
        low = 70.0 * 2.0 ** ((key - 41) / 9)
        return Drum(1.6 * low, low, 0.15, False, 0.4)  # toms
    if key in (49, 51, 52, 53, 55, 57, 59):
        return Drum(0, 0, 1.0, True, 1.4)  # cymbals
    if key in (42, 44, 46):
        return Drum(0, 0, 1.0, True, 0.45 if key == 46 else 0.08)  # hi-hats
    tuned = 200.0 * 2.0 ** ((key - 60) / 12)
    return Drum(1.1 * tuned, tuned, 0.3, True, 0.15)  # hand percussion


@lru_cache(maxsize=128)
def drum(key: int, rate: int) -> Samples:
    """A stroke on a drum, its end included, shape=(n,), float32, read-only; always the same for a key."""
    made = drum_of(key)
    n = math.ceil(made.seconds * rate)
    t = np.arange(n) / rate
    noise = np.random.default_rng(key).standard_normal(n)
    if made.bright:
        noise = np.diff(noise, prepend=0.0) / math.sqrt(2)  # less of the bass
    pitch = made.low + (made.high - made.low) * np.exp(-t / 0.03)
    head = np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    samples = (made.noise * 0.7 * noise + (1 - made.noise) * head) * np.exp(-T60 * t / made.seconds)
    rise = min(math.ceil(0.001 * rate), n)
    samples[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    fade = n // 8
    samples[n - fade :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / fade)
    return _fixed(samples.astype(np.float32))
