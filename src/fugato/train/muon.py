"""Muon: steepest descent for weight matrices under the spectral norm, for trainings that see little data.

The momentum of a matrix is replaced by the nearest orthogonal one, found by a few Newton-Schulz steps (Jordan et al., "Muon: an optimizer
for hidden layers in neural networks", 2024; Bernstein & Newhouse, "Old optimizer, new norm", 2024), scaled so that its entries are as
large as Adam's (Liu et al., "Muon is scalable for LLM training", 2025). Vectors, embeddings and outputs stay with AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor

STEPS: Final = 5
COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)  # Jordan et al.: the fastest that still converge


class Muon(torch.optim.Optimizer):
    """For matrices alone; parameters as `torch.optim.AdamW`."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, *, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                moving = state["momentum"]
                moving.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(moving, group["momentum"]))  # Nesterov's
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * 0.2 * max(p.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """The orthogonal matrix nearest to one, roughly: singular values near 1, shape=(m, n)."""
    a, b, c = COEFFICIENTS
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
