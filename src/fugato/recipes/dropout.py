"""Dropout whose random numbers cost a CPU less than the layers around it."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS: Final = 2**16


class Dropout(nn.Module):
    """Dropout (Srivastava et al., JMLR 2014): numbers become 0 with chance `p`, to 16 bits, and the others grow to keep the mean.

    On a CPU PyTorch's own draws one number at a time on one thread, as long as a convolution before it takes; this draws four with each
    64 random bits. Elsewhere it is PyTorch's.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.cut = min(round(p * LEVELS), LEVELS - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape; the memory's layout stays."""
        if not self.training or not self.cut:
            return x
        p = self.cut / LEVELS
        if x.device.type != "cpu":
            return F.dropout(x, p)
        layout = torch.empty_like(x, device="meta")
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = words.as_strided(layout.shape, layout.stride()) >= self.cut - LEVELS // 2
        return x * kept.to(x.dtype).mul_(1 / (1 - p))

    def extra_repr(self) -> str:
        return f"p={self.cut / LEVELS:g}"
