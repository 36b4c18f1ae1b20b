"""What a search for settings found, as it lies in a folder: every trial, and the best settings with what they are for."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from fugato.errors import FugatoError

TRIALS: Final = "trials.json"
TUNED: Final = "tuned.json"
USUAL: Final = {"composer": "ngram-linear", "genre": "mel-covariance", "compose": "remi-transformer"}  # task -> recipe


@dataclass(frozen=True)
class Tuned:
    """A search and its best trial.

    Attributes
    ----------
    task, recipe, budget, data : str
    random_seed : int
    sampler : "grid" or "tpe"
    measure : str
        What was made as high as possible.
    fixed : dict of str to float
        Settings that were given, and not searched.
    best : dict of str to float
        Searched settings of the best trial; empty where none has ended.
    settings : dict of str to float
        Everything in which the best trial differs from the recipe as published: budget, fixed and best.
    value : float, optional
        Of the best trial.
    importance : dict of str to float
        Share of the variance that each setting accounts for (fANOVA), highest first; empty where there are too few trials.
    trials : tuple of dict
        ``number``, ``value``, ``params``, ``state`` ("COMPLETE", "PRUNED", "FAIL", "RUNNING") and ``seconds`` of each. The value of
        a pruned one is its last.
    encoder : str, optional
        Folder of the encoder whose head was tuned.
    """

    task: str
    recipe: str
    budget: str
    data: str
    random_seed: int
    sampler: str
    measure: str
    fixed: Mapping[str, float]
    best: Mapping[str, float]
    settings: Mapping[str, float]
    value: float | None
    importance: Mapping[str, float]
    trials: Sequence[Mapping[str, Any]]
    encoder: str | None = None

    @property
    def ranked(self) -> list[Mapping[str, Any]]:
        """Trials that were finished, the best first."""
        done = [trial for trial in self.trials if trial["state"] == "COMPLETE" and trial["value"] is not None]
        return sorted(done, key=lambda trial: (-trial["value"], trial["number"]))

    @property
    def command(self) -> str:
        """The shell command that trains with the best settings."""
        words = ["fugato", "train", self.task, self.data, "--recipe", self.recipe]
        words += ["--encoder", self.encoder] if self.encoder is not None else []
        words += ["--budget", self.budget] if self.budget != "full" else []
        words += ["--random-seed", str(self.random_seed)] if self.random_seed else []
        for name, value in {**self.fixed, **self.best}.items():
            words += ["--set", f"{name}={value:.6g}"]
        return shlex.join([*words, "--out", f"my-{self.recipe}"])

    def write(self, folder: Path) -> None:
        """Keep it; each file is replaced whole."""
        about = asdict(replace(self, trials=()))
        del about["trials"]
        for name, content in ((TRIALS, list(self.trials)), (TUNED, {**about, "command": self.command})):
            (folder / f"{name}.tmp").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
            os.replace(folder / f"{name}.tmp", folder / name)


def read_tuned(folder: str | os.PathLike[str]) -> Tuned:
    """What `Tuned.write` kept.

    Raises
    ------
    FugatoError
        ``bad-data`` where that is not what lies there.
    """
    path = Path(folder)
    try:
        about = json.loads((path / TUNED).read_text(encoding="utf-8"))
        trials = json.loads((path / TRIALS).read_text(encoding="utf-8"))
        about.pop("command", None)
        found = Tuned(**about, trials=tuple(trials))
        numbers = [*found.settings.values(), *found.fixed.values(), *found.best.values()]
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            raise ValueError("a setting is no number")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise FugatoError(
            "bad-data", f"It is no folder that  fugato tune  made, or not all of it ({error}).", str(path)
        ) from error
    return found


def recipe_of(task: str, recipe: str | None, tuned: Tuned | None) -> str:
    """The recipe that is meant: the one asked for, the one that was tuned, or the task's usual one.

    Raises
    ------
    FugatoError
        ``bad-option`` where another was tuned than is asked for, or for another task.
    """
    if tuned is None:
        return recipe or USUAL[task]
    if tuned.task != task:
        raise FugatoError("bad-option", f"The settings of {tuned.recipe} were tuned there, for the task {tuned.task}.")
    if recipe not in (None, tuned.recipe):
        raise FugatoError("bad-option", f"The settings of {tuned.recipe} were tuned there, not those of {recipe}.")
    return tuned.recipe
