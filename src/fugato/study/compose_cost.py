"""What a system needs of a machine: the memory of a new process that loads a model and writes one piece from nothing.

``python -m fugato.study.compose_cost MODEL BARS`` is that process; it answers with one line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from fugato.models import Model
from fugato.study.remembered import remembered

SECONDS: Final = 900.0
_log = logging.getLogger(__name__)


def cost(model: Model, folder: Path, bars: int) -> dict[str, Any]:
    """``memory``: megabytes at the peak; ``loading``: seconds of the processor to load the model; kept in `folder`."""

    def ask() -> dict[str, Any] | None:
        paths = [os.path.abspath(p) if p else os.getcwd() for p in sys.path]
        done = subprocess.run(
            [sys.executable, "-m", "fugato.study.compose_cost", str(model.folder), str(bars)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        try:
            answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError):
            said = done.stderr.decode(errors="replace")[-300:]
            _log.warning("what %s costs could not be measured: %s", model.card.name, said)
            return None
        return answer

    key = [[file.sha256 for file in model.card.files.values()], bars]
    return {"cost": remembered(folder / f"{model.card.recipe}-cost.json", key, ask)}


def peak() -> float | None:
    """Megabytes of memory that this process has needed at most; None where the system does not tell."""
    try:  # not getrusage, which starts from what the parent had
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Load, write, and say what it took."""
    from fugato.compose import load_generator

    began = time.process_time()
    system = load_generator(sys.argv[1])
    loaded = time.process_time() - began
    system.generate(None, bars=int(sys.argv[2]), random_seed=0)
    memory = peak()
    answer = {"memory": None if memory is None else round(memory), "loading": round(loaded, 3)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
