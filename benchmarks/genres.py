"""How well genres are named, and what it costs.

    python benchmarks/genres.py protocols    every recipe on GTZAN's spectrograms, under every protocol (an hour on two cores; goes on)
    python benchmarks/genres.py files        true audio against the stored spectrograms; the same clip in four formats; excerpts
    python benchmarks/genres.py speed        a clip of 30 s cold and warm, two hours in one file

GTZAN's folder is that of the shared corpora, or --archive. What `protocols` has learnt and judged is kept under
FUGATO_HOME/benchmark/genres.
Writes benchmarks/results/genres_*.json. The clips of `files` are among those that the shipped model has learnt from: it shows that formats
and front ends agree, not how well the model does.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import soundfile
import soxr
from audio import passage
from composers import RESULTS
from held_out import corpora

from fugato.corpus.mel_archive import load_mel_archive
from fugato.genre import genre
from fugato.genre.hearing import hearer
from fugato.models.names import home
from fugato.read import read_audio
from fugato.represent.logmel import RATE, log_mel, pieces
from fugato.study.benchmark_genre import PROTOCOLS, RECIPES, benchmark_genre, markdown

FORMATS = {
    "WAV, 44.1 kHz stereo": ("WAV", 44_100, {}),
    "FLAC": ("FLAC", RATE, {}),
    "MP3, 128 kbit/s": ("MP3", 44_100, {"bitrate_mode": "CONSTANT", "compression_level": 0.6}),
    "OGG": ("OGG", 44_100, {}),
}
RUNS = 7


def protocols(archive: Path, recipes: str | None, chosen: str | None) -> dict[str, Any]:
    """Every recipe under every protocol."""
    names = recipes.split(",") if recipes else RECIPES
    some = chosen.split(",") if chosen else PROTOCOLS
    table = benchmark_genre(archive, out=home() / "benchmark" / "genres", recipes=names, protocols=some)
    path = RESULTS / "genres_protocols.json"
    if path.exists():  # rows of other runs stay
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, row in before["recipes"].items():
            table["recipes"][name] = {**row, **table["recipes"].get(name, {})}
    print(markdown(table))
    return table


def files(archive: Path) -> dict[str, Any]:
    """True audio against the stored spectrograms, formats, excerpts."""
    stored = load_mel_archive(archive)
    place = {clip.id: i for i, clip in enumerate(stored.clips)}
    model = hearer("genre")
    rows = []
    for path in sorted((archive / "flac").glob("*.flac")):
        (piece,) = pieces(read_audio(path))
        answer = genre(path)
        # The stored clip, as far as the file goes: its loudest cell may lie further on.
        frames = stored.decibels[place[path.stem]]
        whole = piece.seconds > 29
        kept = frames if whole else frames[:, : round(frames.shape[1] * piece.seconds / 30)]
        every = log_mel(piece.samples).shape[1]
        repeated = np.maximum(kept - kept.max(), -80)[:, np.arange(every) * kept.shape[1] // every]
        other = model.labels[int(model.hear(repeated).logits.argmax())]
        row = {
            "clip": path.stem,
            "seconds": round(piece.seconds, 1),
            "audio": answer.name,
            "stored": other,
            "known": answer.known,
        }
        samples = np.repeat(piece.samples[:, None], 2, axis=1)
        for name, (form, rate, options) in FORMATS.items():
            out = io.BytesIO()
            soundfile.write(
                out, soxr.resample(samples, RATE, rate) if rate != RATE else samples, rate, format=form, **options
            )
            row[name] = genre(out.getvalue()).name
        rows.append(row)
    agree = {name: sum(row[name] == row["audio"] for row in rows) for name in ("stored", *FORMATS)}
    return {"clips": len(rows), "same top genre": agree, "rows": rows}


def speed(archive: Path) -> dict[str, Any]:
    """Seconds of a clip and of two hours."""
    clip = archive / "flac" / "metal.00000.flac"
    cold = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "fugato", "genre", clip, "--json"], check=True, capture_output=True)
        cold.append(time.perf_counter() - started)
    genre(clip)
    warm, own = [], []
    for _ in range(RUNS):
        started, used = time.perf_counter(), time.process_time()
        genre(clip)
        warm.append(time.perf_counter() - started)
        own.append(time.process_time() - used)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.flac"
        parts = [passage(i) for i in range(6)]
        with soundfile.SoundFile(path, "w", 44_100, 2, format="FLAC") as file:
            for i in range(720):
                file.write(parts[i % 6])
        code = (  # VmHWM: the process's own, while ru_maxrss also knows what the program was that started it
            "import re, sys, time, fugato\n"
            "started = time.perf_counter()\n"
            "answer = fugato.genre(sys.argv[1])\n"
            "most = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read()).group(1)\n"
            "print(time.perf_counter() - started, int(most) / 1024, len(answer.timeline))"
        )
        done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    seconds, megabytes, stretches = done.stdout.split()
    return {
        "load": round(os.getloadavg()[0], 2),
        "clip of 30 s, cold, s": round(statistics.median(cold), 3),
        "clip of 30 s, warm, s": round(statistics.median(warm), 3),
        "clip of 30 s, warm, processor s of the main process": round(statistics.median(own), 3),
        "two hours, s": round(float(seconds), 1),
        "two hours, MB": round(float(megabytes)),
        "two hours, stretches": int(stretches),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=("protocols", "files", "speed"))
    parser.add_argument("--archive", type=Path, help="GTZAN's folder; the shared corpora's by default")
    parser.add_argument("--recipes", help="only these, by commas")
    parser.add_argument("--protocols", help="only these, by commas")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    archive = args.archive or corpora() / "gtzan"
    for what in args.what:
        found = (
            protocols(archive, args.recipes, args.protocols)
            if what == "protocols"
            else {"files": files, "speed": speed}[what](archive)
        )
        path = RESULTS / f"genres_{what}.json"
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if what != "protocols":
            print(json.dumps({k: v for k, v in found.items() if k != "rows"}, indent=1))


if __name__ == "__main__":
    main()
