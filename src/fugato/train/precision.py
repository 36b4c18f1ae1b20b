"""Numbers to train in: bfloat16 where a network's steps are faster so and the device has instructions for it."""

from __future__ import annotations

from typing import Final

from fugato.errors import FugatoError

AUTO: Final = "auto"
SINGLE: Final = "32-true"
MIXED: Final = "bf16-mixed"  # weights in single precision, products in bfloat16
KNOWN: Final = (AUTO, SINGLE, MIXED, "bf16-true", "16-mixed", "16-true", "64-true")  # Lightning's names
AMPERE: Final = (8, 0)  # compute capability of the first GPUs that multiply bfloat16


def precision_for(gains: bool, asked: str = AUTO) -> str:
    """What Lightning is told.

    Parameters
    ----------
    gains : bool
        Whether the network is markedly faster in bfloat16, and learns as well.
    asked : str
        "auto", or one of Lightning's names, which is answered as it is.

    Raises
    ------
    FugatoError
        ``bad-option`` for a name that there is not.
    """
    if asked not in KNOWN:
        raise FugatoError("bad-option", f"There is no precision {asked!r}; choose one of {', '.join(KNOWN)}.")
    if asked != AUTO:
        return asked
    return MIXED if gains and multiplies_bfloat16() else SINGLE


def multiplies_bfloat16() -> bool:
    """Whether the GPU, or the processor where there is none, has instructions for it; without, it is imitated and slow."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.get_device_capability() >= AMPERE)
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older versions of PyTorch
    return any(bool(able.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
