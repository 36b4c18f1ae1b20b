"""Dropout drawn four numbers at a time."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="training needs the extra train")

import torch

from fugato.recipes.dropout import Dropout


def _drawn(seed: int, x: torch.Tensor, p: float = 0.3) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(p).train()(x)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_so_many_numbers_become_nothing_and_the_mean_stays(p: float) -> None:
    x = torch.ones(400_003)
    y = _drawn(1, x, p)
    assert float((y == 0).float().mean()) == pytest.approx(p, abs=0.004)
    assert float(y.mean()) == pytest.approx(1, abs=0.02)
    assert y[y != 0].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-4)


def test_neighbours_that_share_a_draw_do_not_share_a_fate() -> None:
    kept = (_drawn(2, torch.ones(4 * 50_000), 0.5) != 0).float().reshape(-1, 4)
    assert torch.allclose(kept.mean(dim=0), torch.full((4,), 0.5), atol=0.01)
    assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max() < 0.02


def test_the_gradient_goes_where_the_numbers_went() -> None:
    x = torch.randn(33, 7, requires_grad=True)
    y = _drawn(3, x, 0.4)
    y.sum().backward()
    assert ((x.grad != 0) == (y != 0)).all() and x.grad[y != 0].unique().numel() == 1


def test_the_seed_decides_and_the_layout_of_the_memory_stays() -> None:
    x = torch.randn(3, 5, 6, 7).to(memory_format=torch.channels_last)
    y = _drawn(4, x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, _drawn(4, x)) and not torch.equal(y, _drawn(5, x))
    sparse = torch.randn(8, 9)[:, ::2]
    assert _drawn(6, sparse).shape == sparse.shape


def test_nothing_is_dropped_out_of_training_or_without_a_chance() -> None:
    x = torch.randn(10)
    assert Dropout(0.5).eval()(x) is x and Dropout(0.0).train()(x) is x
    assert repr(Dropout(0.25)) == "Dropout(p=0.25)"


def test_the_highest_chance_leaves_finite_numbers() -> None:
    assert torch.isfinite(_drawn(7, torch.ones(100_000), 0.999_999)).all()
