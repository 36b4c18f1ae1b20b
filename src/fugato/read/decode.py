"""Sound files -> blocks of samples, by libsndfile (WAV, FLAC, OGG, MP3, AIFF, AU, CAF and its other formats), with what it
leaves undone.

The format is known by its bytes; names do not matter. Limits are checked against the header before anything is decoded, and again
while decoding, since headers lie. A file that breaks off is read up to there. Three things that libsndfile leaves undone are done
here: a WAV file whose header gives a wrong length (a recorder that lost its power) is read to its end, an MP3 file without a
count of its frames too (libsndfile would guess from the first bit rate, and stop there), and an Ogg file that lacks its last page is
said to be cut off.

The decoders are C code on untrusted bytes and write to standard error. So they are run in a process of their own
(`fugato.read.sound_worker`), as a rule.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np

from fugato.errors import FugatoError
from fugato.recording import Block

SLACK: Final = 4_096  # by how much lengths in a header may be wrong
HEAD: Final = 65_536  # bytes looked at for the kind of file, and for the last page of an Ogg file
STRETCH: Final = 64  # times the length that an MP3 file is said to have: 320 kbit/s over 8 kbit/s is 40
ENDLESS: Final = 1 << 62  # samples; as many stand for "unknown"
STREAMED: Final = 0x7FFF0000  # lengths from here on are written by programs that do not know them
SHORTFALL: Final = 0.98  # of the samples that the header promises; fewer is damage
TAG: Final = 4_096  # bytes at the end of a stretched file that are there, as zeros
LOWEST_RATE: Final = 2_000  # samples a second; less holds no music
UNRECOGNISED: Final = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT

# Kinds of files that are sound, or look like it, and that libsndfile does not read: offset, bytes, what it is.
OTHERS: Final = (
    (4, b"ftyp", "an MP4 or M4A file (AAC)"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file (WMA)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"wvPk", "a WavPack file"),
    (0, b"TTA", "a True Audio file"),
    (0, b"DSD ", "a DSD file"),
    (0, b"FRM8", "a DSD file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"ADIF", "an AAC file"),
    (0, b"\xff\xf1", "an AAC file"),
    (0, b"\xff\xf9", "an AAC file"),
)
MAGIC: Final = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3", b".snd", b"caff", b"riff")
OGG_CODECS: Final = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC")
WAV_CODECS: Final = {1, 2, 3, 6, 7, 0x11, 0x14, 0x31, 0x40, 0x45, 0xFFFE}  # format tags that libsndfile decodes
CONVERT: Final = "Save it as WAV, FLAC, OGG or MP3 first"
PROMISED: Final = re.compile(r"^\s*(?:data|SSND|riff|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M)
RECOUNTED: Final = re.compile(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)")
SUFFIXES: Final = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".caf")
CUT: Final = "The file breaks off before its end; what is there was read."
FEWER: Final = "The file is damaged: it holds less than it says; what can be decoded was read."


@dataclass(frozen=True)
class AudioLimits:
    """What one recording may cost. It is never held whole, so these bound time rather than memory."""

    file_bytes: int = 8_000_000_000
    seconds: float = 6 * 3600.0
    channels: int = 16  # third-order ambisonics has as many
    rate: int = 768_000  # samples a second
    decoded_bytes: int = 32_000_000_000  # as 32-bit floats; two hours in stereo at 44,100 Hz are 2.5 billion
    wait: float = 20.0  # seconds of wall time for one block
    memory: int = 1_000_000_000  # bytes that the decoding process may hold, where the platform can say so


@dataclass(frozen=True)
class Facts:
    """What a header says: `frames` is None where it does not know."""

    rate: int
    channels: int
    frames: int | None
    format: str


class SoundFile:
    """The decoder of one file.

    Raises
    ------
    FugatoError
        ``empty``, ``not-audio``, ``unsupported``, ``corrupt``, ``too-large``, or ``bad-data`` where it cannot be opened.
    """

    def __init__(self, path: str, limits: AudioLimits) -> None:
        import soundfile  # in the worker alone, as a rule

        self._error = soundfile.LibsndfileError
        self._limits = limits
        self._late: list[str] = []  # warnings for the end
        self._count = 0
        self._over = False
        try:
            self._raw = open(path, "rb")  # noqa: SIM115 (closed by close)
        except OSError as e:
            raise FugatoError("bad-data", f"It cannot be opened: {e.strerror or e}.") from e
        try:
            size = os.fstat(self._raw.fileno()).st_size
            head = self._raw.read(HEAD)
            if not size:
                raise FugatoError("empty", "The file is empty.")
            if size > limits.file_bytes:
                raise FugatoError("too-large", f"More than {limits.file_bytes:,} bytes.")
            self._open(soundfile.SoundFile, head, size, path)
        except BaseException:
            self._raw.close()
            raise

    def _open(self, opened: Any, head: bytes, size: int, path: str) -> None:
        patch, codec = _wav(self._raw, head, size)
        if codec is not None and codec not in WAV_CODECS:
            raise FugatoError(
                "unsupported", f"It is a WAV file with a coding (0x{codec:x}) that is not read. {CONVERT}."
            )
        if patch:
            self._late.append("The header gives a wrong length; the file was read to its end.")
        try:
            self._file = opened(_View(self._raw, size, patch))
            frames: int | None = self._file.frames
            if self._file.format == "MP3":
                self._file.close()
                self._file = opened(_View(self._raw, size, stretch=STRETCH))
                if frames and self._file.frames > 4 * frames:  # not counted but guessed from the length
                    frames = None
        except self._error as e:
            raise _refusal(head, path, e.code) from e
        except (RuntimeError, TypeError, ValueError) as e:  # what soundfile itself finds wrong
            raise _refusal(head, path, UNRECOGNISED) from e
        log = self._file.extra_info
        cut = any(STREAMED > int(a) > int(b) + SLACK for a, b in PROMISED.findall(log))
        cut |= any(int(b) > int(a) + SLACK for a, b in RECOUNTED.findall(log))
        if head.startswith(b"OggS"):
            cut |= not _ends(self._raw, size)
        if cut:
            self._late.append(CUT)
        if frames is not None and frames >= ENDLESS:
            frames = None
        self.facts = Facts(self._file.samplerate, self._file.channels, frames, self._file.format)
        self._check(cut)

    def _check(self, cut: bool) -> None:
        """Refuse by the header, before anything is decoded."""
        facts, limits = self.facts, self._limits
        if facts.rate < LOWEST_RATE:
            raise FugatoError(
                "unsupported" if facts.rate > 0 else "corrupt",
                f"It has {facts.rate:,} samples a second; music needs at least {LOWEST_RATE:,}.",
            )
        if facts.rate > limits.rate:
            raise FugatoError("too-large", f"It has {facts.rate:,} samples a second; {limits.rate:,} are the limit.")
        if facts.channels > limits.channels:
            raise FugatoError("too-large", f"It has {facts.channels} channels; {limits.channels} are the limit.")
        if facts.frames == 0:
            if cut:
                raise FugatoError("corrupt", "It breaks off before the first sample.")
            raise FugatoError("empty", "There are no samples in it.")
        self._bound(facts.frames or 0)

    def _bound(self, frames: int) -> None:
        facts, limits = self.facts, self._limits
        if frames > limits.seconds * facts.rate:
            hours = limits.seconds / 3600
            raise FugatoError("too-large", f"It lasts more than {hours:g} hours, which is the limit. Cut it in parts.")
        if 4 * frames * facts.channels > limits.decoded_bytes:
            raise FugatoError("too-large", f"It decodes to more than {limits.decoded_bytes:,} bytes. Cut it in parts.")

    def read(self, size: int) -> Block:
        """The next `size` samples a channel, fewer at the end, with the warnings that are due then."""
        out = np.empty((size, self.facts.channels), np.float32)
        got = 0
        while got < size and not self._over:
            step = out[got:]  # at once, since soundfile seeks after every read
            step.fill(np.nan)
            try:
                part = self._file.read(out=step)
            except self._error:
                got += int(np.isfinite(step).all(axis=1).argmin())  # what was decoded before the damage
                self._over = True
                if not (self.facts.frames is None and self.facts.format == "FLAC"):  # then the end is an error as well
                    self._late.append(CUT)
                break
            got += len(part)
            if not len(part):
                self._over = True
                promised = self.facts.frames
                if promised and self._count + got < SHORTFALL * promised and CUT not in self._late:
                    self._late.append(FEWER)
        self._count += got
        self._bound(self._count)
        warnings = tuple(dict.fromkeys(self._late)) if self._over else ()
        return Block(out[:got], self._over, warnings)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()


class _View:
    """A file as libsndfile is to see it: nameless, perhaps longer than it is, perhaps with other bytes in one place."""

    def __init__(self, raw: BinaryIO, size: int, patch: tuple[int, bytes] | None = None, stretch: int = 1) -> None:
        self._raw = raw
        self._real = size
        self._size = size * stretch
        self._patch = patch
        self._at = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(offset + (0, self._at, self._size)[whence], 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int) -> bytes:
        if self._at >= max(self._real, self._size - TAG) and self._size > self._real:  # where a tag is looked for
            self._at += count
            return bytes(count)
        self._raw.seek(self._at)
        data = self._raw.read(count)
        if self._patch:
            start, new = self._patch
            for i in range(max(start, self._at), min(start + len(new), self._at + len(data))):
                data = data[: i - self._at] + new[i - start : i - start + 1] + data[i - self._at + 1 :]
        self._at += len(data)
        return data


def _wav(raw: BinaryIO, head: bytes, size: int) -> tuple[tuple[int, bytes] | None, int | None]:
    """For a RIFF WAVE file the bytes that mend the length of its samples, where it is wrong and too small, and its format tag."""
    codec = None
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None, None
    pos = 12
    while pos + 8 <= size:
        raw.seek(pos)
        name, length = struct.unpack("<4sI", raw.read(8))
        if name == b"fmt ":
            tag = raw.read(2)
            codec = int.from_bytes(tag, "little") if len(tag) == 2 else None
        if name == b"data":
            rest = size - pos - 8
            end = pos + 8 + length + length % 2
            if length >= rest or (length and size - end < 8):
                return None, codec
            raw.seek(end)
            after, span = struct.unpack("<4sI", raw.read(8).ljust(8, b"\0"))
            if length and all(0x20 <= c < 0x7F for c in after) and span <= size - end - 8:
                return None, codec  # another chunk, as it should be
            if not length and rest < 16:
                return None, codec
            return (pos + 4, struct.pack("<I", min(rest, 0xFFFFFFF0))), codec
        pos += 8 + length + length % 2
    return None, codec


def _ends(raw: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file is marked as the last of its stream."""
    raw.seek(max(size - 2 * HEAD, 0))
    tail = raw.read()
    last = tail.rfind(b"OggS")
    return last >= 0 and last + 5 < len(tail) and bool(tail[last + 5] & 4)


def _refusal(head: bytes, path: str, code: int) -> FugatoError:
    """Why libsndfile does not open a file, by its first bytes."""
    for offset, magic, what in OTHERS:
        if head[offset : offset + len(magic)] == magic:
            return FugatoError("unsupported", f"It is {what}, which is not read. {CONVERT}.")
    if head.startswith(b"MThd") or (head.startswith(b"RIFF") and head[8:12] == b"RMID"):
        return FugatoError("not-audio", "It is a MIDI file: notes, and no sound.")
    if head.startswith(b"OggS") and len(head) > 64 and not any(codec in head for codec in OGG_CODECS):
        return FugatoError("unsupported", f"It is an Ogg file without Vorbis, Opus or FLAC in it. {CONVERT}.")
    if head.startswith(MAGIC) and not (head.startswith(b"RIFF") and head[8:12] not in (b"WAVE", b"")):
        return FugatoError("corrupt", f"It begins like a sound file, but is damaged (libsndfile's error {code}).")
    suffix = os.path.splitext(path)[1].lower()
    though = f" although its name ends in {suffix}; it is damaged or misnamed" if suffix in SUFFIXES else ""
    return FugatoError("not-audio", f"It is no recording that can be decoded{though}.")
