"""What sound costs on its way to a log-mel spectrogram: memory and time of a two-hour file, and of a clip of 30 s.

    python benchmarks/audio.py [--formats FLAC MP3 WAV OGG] [--ways pieces whole picture facts clips] [--hours 2]

The file is made here: noise, chords and rhythm, 44,100 Hz in stereo, written in blocks into a temporary folder. Each way to use it runs in
a new process that reports the most memory it held, its decoding process apart: `pieces` (the log-mel spectrogram and the MFCC of each 30 s,
one after the other), `whole` (one spectrogram of all of it), `picture` (the five views as `fugato explore` draws them) and `facts` (what it
measures of a recording). Clips are timed in one process that is warm. One thread. Two
clocks: the wall's, which also counts what other programs of the machine take (see the load), and the processes' own. Writes
benchmarks/results/audio.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import soundfile

from fugato.read.audio import end_decoders, read_audio
from fugato.represent.logmel import log_mel, pieces
from fugato.represent.mfcc import cepstrum
from fugato.represent.outline import sound_view
from fugato.study.sound_facts import sound_facts
from fugato.write.sound_picture import draw_sound

RESULT = Path(__file__).resolve().parent / "results" / "audio.json"
RATE = 44_100
CLIPS = 15
WAYS = ("pieces", "whole", "picture", "facts", "clips")
SUFFIX = {"FLAC": "flac", "MP3": "mp3", "WAV": "wav", "OGG": "ogg"}


def passage(number: int, seconds: int = 10) -> np.ndarray:
    """Ten seconds of chords, a beat and noise in stereo, shape=(n, 2)."""
    rng = np.random.default_rng(number)
    t = np.arange(seconds * RATE) / RATE
    sound = np.zeros((len(t), 2))
    for hertz in 110 * 2 ** (rng.choice(36, 4, replace=False) / 12):
        for k in range(1, 5):
            sound += np.sin(2 * np.pi * hertz * k * t)[:, None] * rng.uniform(0, 0.08, 2) / k
    sound += 0.2 * np.exp(-20 * (t % 0.5))[:, None] * rng.standard_normal((len(t), 2))
    return (0.8 * sound / np.abs(sound).max()).astype(np.float32)


def write(path: Path, form: str, seconds: float) -> None:
    parts = [passage(i) for i in range(6)]
    with soundfile.SoundFile(path, "w", RATE, 2, format=form) as file:
        for i in range(round(seconds / 10)):
            file.write(parts[i % len(parts)])


def child(path: str, way: str) -> dict[str, float]:
    began = time.perf_counter()
    frames = count = 0
    if way == "pieces":
        for piece in pieces(read_audio(path)):
            decibels = log_mel(piece.samples)
            cepstrum(decibels)
            frames += decibels.shape[1]
            count += 1
    elif way == "picture":
        view = sound_view(read_audio(path))
        draw_sound(view, Path(path).with_suffix(".png"))
        frames, count = view.outline.mel.shape[1], 1
    elif way == "facts":
        sound_facts(read_audio(path))
    else:
        frames, count = log_mel(read_audio(path)).shape[1], 1
    wall = time.perf_counter() - began
    end_decoders()  # so that the decoding process is counted among the children
    own, other = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "pieces": count,
        "frames": frames,
        "wall_s": round(wall, 1),
        "processor_s": round(own.ru_utime + own.ru_stime + other.ru_utime + other.ru_stime, 1),
        "peak_mb": round(own.ru_maxrss / 1024, 1),
        "peak_mb_decoder": round(other.ru_maxrss / 1024, 1),
    }


def clips(folder: Path, form: str) -> dict[str, float]:
    path = folder / f"clip.{SUFFIX[form]}"
    write(path, form, 30)
    end_decoders()
    log_mel(read_audio(path))
    before, children = time.process_time(), processor(resource.RUSAGE_CHILDREN)
    walls = []
    for _ in range(CLIPS):
        began = time.perf_counter()
        log_mel(read_audio(path))
        walls.append(1e3 * (time.perf_counter() - began))
    own = time.process_time() - before
    end_decoders()
    return {
        "median_ms": round(statistics.median(walls), 1),
        "worst_ms": round(max(walls), 1),
        "processor_ms": round(1e3 * own / CLIPS, 1),
        "processor_ms_decoder": round(
            1e3 * (processor(resource.RUSAGE_CHILDREN) - children) / CLIPS, 1
        ),  # its start included
    }


def processor(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", nargs="+", default=["FLAC", "MP3"], choices=list(SUFFIX))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--hours", type=float, default=2.0)
    args = parser.parse_args()
    out = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    out["what"] = "memory and time from a file to log-mel spectrograms, 44,100 Hz stereo, one thread"
    out["cpus"] = os.cpu_count()
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        for form in args.formats:
            path = folder / f"long.{SUFFIX[form]}"
            found = out.setdefault(form, {})
            long = [way for way in args.ways if way != "clips"]
            if long:
                write(path, form, 3600 * args.hours)
                found |= {"hours": args.hours, "megabytes": round(path.stat().st_size / 1e6, 1)}
            for way in long:
                load = round(os.getloadavg()[0], 2)
                command = [sys.executable, __file__, "--child", str(path), way]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[way] = {"load_before": load, **json.loads(done.stdout)}
                print(form, way, found[way], flush=True)
            if "clips" in args.ways:
                found["clip_of_30_s"] = {"load_before": round(os.getloadavg()[0], 2), **clips(folder, form)}
                print(form, "clip of 30 s", found["clip_of_30_s"], flush=True)
            path.unlink(missing_ok=True)
            RESULT.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
