"""remi-transformer: a decoder over compound steps, a note or a bar at a time.

In:     `fugato.represent.tokens`: 512 steps with ten columns each, and beside each step what is known of its piece.
Net:    sum of embeddings; pre-normalised blocks of causal attention with rotary positions (Su et al., "RoFormer", 2021) and a GELU
        layer, as in GPT-2; then the five attributes of the next step in turn, each from the state and those before it (Hsiao et al.,
        "Compound Word Transformer", AAAI 2021; Dong et al., "Multitrack Music Transformer", ICASSP 2023).
Train:  Muon and AdamW (`fugato.train.muon`), cross-entropy with label smoothing over all attributes; pieces transposed by -5..6
        semitones to C major or A minor, so that every key is learnt from all pieces, a seventh of the samples elsewhere; composer, period
        and plan left out of an eighth of the samples for guidance (Ho & Salimans, "Classifier-free diffusion guidance", 2021); in half of
        them some bars are moved to the end and filled in (Bavarian et al., "Efficient training of language models to fill in the middle",
        2022).
Figure: none; the projects wished for attention and longer pieces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fugato.errors import FugatoError
from fugato.recipes.dropout import Dropout
from fugato.recipes.options import check_names
from fugato.represent.tokens import BAR, CONTROLS, END, EVENT, FAMILIES, N_ATTRIBUTES, VOCABULARY

NAME: Final = "remi-transformer"
CONTEXT: Final = 512  # steps
HEAD_SIZE: Final = 64
DEFAULTS: Final[dict[str, float]] = {
    "units": 256,
    "layers": 6,
    "head_units": 192,  # of the layer before each attribute
    "dropout": 0.1,
    "learning_rate": 2e-3,  # of embeddings, outputs and vectors
    "matrix_rate": 2e-3,  # of the weight matrices of blocks, under Muon
    "weight_decay": 0.05,
    "label_smoothing": 0.02,
    "batch_size": 8,  # rows of `CONTEXT` steps
    "epochs": 10,
    "patience": 4,  # epochs without a better held-out figure before training stops
    "infill": 0.5,  # share of samples with bars to fill in
    "unknown": 0.125,  # of samples without composer and period
    "min_works": 15,  # of a composer to be a style of its own
}
BUDGETS: Final[dict[str, dict[str, float]]] = {
    "full": {},
    "small": {
        "units": 192,
        "layers": 4,
        "head_units": 128,
        "dropout": 0.0,
    },  # an hour or two of one core is too short to overfit
}
FINE_TUNING: Final[dict[str, float]] = {
    "learning_rate": 3e-4,
    "matrix_rate": 3e-4,
    "epochs": 30,
    "patience": 3,
    "unknown": 0.25,
}
SHAPE: Final = ("units", "layers", "head_units")  # what a model to go on from decides
SPACE: Final = {"learning_rate": (3e-4, 3e-3), "dropout": (0.0, 0.3), "units": (128, 384), "layers": (3, 8)}
SPACE_STEPS: Final = {"units": HEAD_SIZE}  # between the values that are tried


class Attention(nn.Module):
    """Causal self-attention that can go on from the keys and values of earlier steps."""

    def __init__(self, units: int, dropout: float) -> None:
        super().__init__()
        self.n_head, self.dropout = units // HEAD_SIZE, dropout
        self.qkv = nn.Linear(units, 3 * units, bias=False)
        self.out = nn.Linear(units, units, bias=False)

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, T, units), keys and values (B, n_head, S, head_size) of the past -> (B, T, units), those of the new steps.

        The mask, shape=(T, S + T), is for a past: minus infinity where a step does not look.
        """
        batch, steps, units = x.shape
        q, k, v = self.qkv(x).view(batch, steps, 3, self.n_head, HEAD_SIZE).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = rotated(q, turn), rotated(k, turn)  # (B, n_head, T, head_size)
        if past is None or mask is None:
            y = F.scaled_dot_product_attention(
                q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True
            )
        else:
            y = _beside(q, k, v, past, mask)
        y = y.transpose(1, 2).reshape(batch, steps, units)
        return self.out(y), (k, v)


def _beside(q: Tensor, k: Tensor, v: Tensor, past: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
    """Attention to a past and to the new steps. What is large, the past, is neither joined to them nor turned round: that would copy it."""
    keys, values = past
    seen = torch.cat([(keys @ q.transpose(2, 3)).transpose(2, 3), q @ k.transpose(2, 3)], dim=3) / math.sqrt(HEAD_SIZE)
    weights = torch.softmax(seen + mask, dim=3)
    before = keys.shape[2]
    return weights[..., :before] @ values + weights[..., before:] @ v


class Block(nn.Module):
    def __init__(self, units: int, dropout: float) -> None:
        super().__init__()
        self.before_attention, self.attention = nn.LayerNorm(units), Attention(units, dropout)
        self.before_layer, self.up, self.down = (
            nn.LayerNorm(units),
            nn.Linear(units, 4 * units),
            nn.Linear(4 * units, units),
        )
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        seen, new = self.attention(self.before_attention(x), turn, past, mask)
        x = x + self.dropout(seen)
        return x + self.dropout(self.down(F.gelu(self.up(self.before_layer(x))))), new


class Heads(nn.Module):
    """The attributes of the next step in turn: event, part, pitch, duration, velocity."""

    def __init__(self, units: int, head_units: int) -> None:
        super().__init__()
        self.state = nn.Linear(units, N_ATTRIBUTES * head_units)
        self.known = nn.ModuleList(  # each attribute, for all that come after it
            nn.Embedding(VOCABULARY[i], (N_ATTRIBUTES - 1 - i) * head_units) for i in range(N_ATTRIBUTES - 1)
        )
        self.scores = nn.ModuleList(nn.Linear(head_units, VOCABULARY[i]) for i in range(N_ATTRIBUTES))
        self.head_units = head_units

    def forward(self, state: Tensor, target: Tensor) -> list[Tensor]:
        """(N, units), the attributes of the next steps (N, 5) -> scores (N, vocabulary) of each attribute."""
        hidden = self.state(state).view(len(state), N_ATTRIBUTES, self.head_units)
        out = []
        for i in range(N_ATTRIBUTES):
            out.append(self.scores[i](F.gelu(hidden[:, i])))
            if i < N_ATTRIBUTES - 1:
                later = self.known[i](target[:, i]).view(len(state), N_ATTRIBUTES - 1 - i, self.head_units)
                hidden = torch.cat([hidden[:, : i + 1], hidden[:, i + 1 :] + later], dim=1)
        return out


class Past(NamedTuple):
    """What was seen before: keys and values of each layer, (B, n_head, S, head_size), of which the first `length`, shape=(1,), count."""

    layers: Sequence[tuple[Tensor, Tensor]]
    length: Tensor


class Network(nn.Module):
    """Steps in, the state after each of them out; `heads` makes attributes of it."""

    def __init__(self, n_styles: int, n_periods: int, settings: Mapping[str, float]) -> None:
        super().__init__()
        units, layers, dropout = int(settings["units"]), int(settings["layers"]), settings["dropout"]
        sizes = [*VOCABULARY, n_styles + 1, n_periods + 1, *[FAMILIES] * (len(CONTROLS) - 2)]
        self.embed = nn.EmbeddingBag(sum(sizes), units, mode="sum")
        self.register_buffer("offset", torch.tensor([0, *sizes[:-1]]).cumsum(0), persistent=False)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(units, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(units)
        self.heads = Heads(units, int(settings["head_units"]))
        angle = torch.arange(2 * CONTEXT)[:, None] * 10_000 ** (-torch.arange(0, HEAD_SIZE, 2) / HEAD_SIZE)
        self.register_buffer("cos", angle.cos(), persistent=False)  # (2 * CONTEXT, head_size / 2)
        self.register_buffer("sin", angle.sin(), persistent=False)
        self.apply(_start)
        for block in self.blocks:  # GPT-2: what is added to the stream starts smaller in deeper networks
            for layer in (block.attention.out, block.down):
                nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * layers))

    def forward(self, steps: Tensor, past: Past | None = None) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Steps (B, T, 20), after a past if there is one -> (B, T, units), keys and values (B, n_head, T, head_size) of each layer."""
        batch, length, columns = steps.shape
        index = steps + self.offset
        if torch.jit.is_tracing():
            x = F.embedding(index, self.embed.weight).sum(dim=2)
        else:
            x = self.embed(index.view(-1, columns)).view(batch, length, -1)
        x = self.dropout(x)
        place = torch.arange(length, device=x.device)
        mask = None
        if past is not None:
            room = torch.arange(past.layers[0][0].shape[2], device=x.device)
            sees = torch.cat([(room < past.length).expand(length, -1), place[None, :] <= place[:, None]], dim=1)
            mask = torch.zeros(sees.shape, device=x.device).masked_fill(~sees, float("-inf"))
            place = place + past.length
        turn = self.cos[place], self.sin[place]
        new = []
        for i, block in enumerate(self.blocks):
            x, own = block(x, turn, None if past is None else past.layers[i], mask)
            new.append(own)
        return self.norm(x), new


def rotated(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys (B, n_head, T, head_size) turned by their positions."""
    cos, sin = turn
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def losses(network: Network, batch: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Negative log-likelihood of what follows, in nats.

    Parameters
    ----------
    batch : Tensor of int64, shape=(B, T + 1, 20)
        The first T steps are seen, the last T foretold.

    Returns
    -------
    Tensor, shape=(5, B, T)
        Of each attribute; 0 where it is given or does not apply.
    """
    state, _ = network(batch[:, :-1])
    target = batch[:, 1:, :N_ATTRIBUTES]
    flat = target.reshape(-1, N_ATTRIBUTES)
    event = flat[:, EVENT]
    foretold = (event <= BAR) | (event == END)
    note = event < BAR
    out = []
    for i, scores in enumerate(network.heads(state.reshape(len(flat), -1), flat)):
        loss = F.cross_entropy(scores.float(), flat[:, i], reduction="none", label_smoothing=smoothing)
        out.append(loss * (note if i else foretold))
    return torch.stack(out).view(N_ATTRIBUTES, *target.shape[:2])


def build(n_styles: int, n_periods: int, settings: Mapping[str, float]) -> Network:
    return Network(n_styles, n_periods, settings)


class _Whole(nn.Module):
    """The network together with its attributes, for a drawing."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, steps: Tensor) -> list[Tensor]:
        state, _ = self.network(steps)
        scores: list[Tensor] = self.network.heads(state.flatten(0, 1), steps[..., :N_ATTRIBUTES].flatten(0, 1))
        return scores


def example(n_styles: int, rows: int) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """An untrained network and an input for it, (rows, 512, 20), for a drawing of the recipe."""
    network = build(n_styles, 5, DEFAULTS)
    return _Whole(network), (torch.zeros(rows, CONTEXT, len(network.offset), dtype=torch.int64),)


def check(chosen: Mapping[str, Any]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_names(NAME, chosen, DEFAULTS)
    for name, value in chosen.items():
        if not math.isfinite(value) or value < 0:
            raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be 0 or more.")
        if name in {"units", "layers", "head_units", "batch_size", "epochs"} and (value < 1 or value != int(value)):
            raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be a whole number from 1.")
        if name == "units" and value % HEAD_SIZE:
            raise FugatoError("bad-option", f"The setting units is {value:g}; it must be a multiple of {HEAD_SIZE}.")
        if name in {"dropout", "label_smoothing", "infill", "unknown"} and value >= 1:
            raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be below 1.")
        if name == "learning_rate" and value == 0:
            raise FugatoError("bad-option", "The setting learning_rate is 0; nothing would be learnt.")


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding | nn.EmbeddingBag):
        nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


__all__ = [
    "BUDGETS",
    "CONTEXT",
    "DEFAULTS",
    "FINE_TUNING",
    "NAME",
    "SHAPE",
    "SPACE",
    "SPACE_STEPS",
    "Network",
    "build",
    "check",
    "losses",
]
