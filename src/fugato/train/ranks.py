"""Several processes that train one network: the first of them prepares, judges and writes, the others take part in the training alone.

Every process runs the whole program, as torchrun and Lightning's own launcher have it. Lightning starts the others from within the
training, when all is prepared; torchrun starts all at once, so that the others wait here for the first.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final

PATIENCE: Final = timedelta(days=2)  # for the first process to read a large collection, and for an epoch
_others_ended = False


def is_first() -> bool:
    """Whether this process is the first of those that train together, or alone."""
    if "RANK" in os.environ:  # torchrun
        return int(os.environ["RANK"]) == 0
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("NODE_RANK", 0)) == 0


def together() -> None:
    """Wait until all processes are here; at once where there is one, or where the others are not started yet.

    Raises
    ------
    SystemExit
        Of status 1, where another process has ended: it says why.
    """
    if _others_ended or int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return
    import torch
    from torch import distributed

    try:
        if not distributed.is_initialized():
            if not distributed.is_torchelastic_launched():
                return
            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
            distributed.init_process_group(
                "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE
            )
        on_gpu = distributed.get_backend() == "nccl"  # Lightning's own group on GPUs; ours takes both
        distributed.all_reduce(torch.zeros(1, device="cuda" if on_gpu else "cpu"))
    except RuntimeError:
        if is_first():
            raise
        raise SystemExit(1) from None


def only_first() -> None:
    """End every process but the first: what follows a training is for one.

    Raises
    ------
    SystemExit
        Of status 0.
    """
    global _others_ended
    if not is_first():
        raise SystemExit(0)
    _others_ended = True
