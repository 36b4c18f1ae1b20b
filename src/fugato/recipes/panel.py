"""panel: `ngram-linear` and `onset-cnn`, which answer together.

In:     what either reads.
Model:  both, trained apart; a weighted sum of their log probabilities (`fugato.composer.pooled`). The weights, the number of events at
        which the evidence counts half and what is taken off for names of whom there is much are fitted by likelihood on works that
        neither has seen, whole pieces and excerpts.
Figure: none published; shipped as the model "composer".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fugato.composer import pooled
from fugato.recipes import ngram_linear, onset_cnn
from fugato.write.network_picture import Layer

NAME: Final = pooled.RECIPE
LINEAR: Final = ngram_linear
NETWORK: Final = onset_cnn.RECIPE
DEFAULTS: Final[dict[str, float]] = {**NETWORK.settings(), **ngram_linear.DEFAULTS}
BUDGETS: Final = NETWORK.BUDGETS


def divided(settings: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Settings of the n-grams, and those of the network."""
    linear = {key: value for key, value in settings.items() if key in ngram_linear.DEFAULTS}
    return linear, {key: value for key, value in settings.items() if key not in linear}


def check(settings: Mapping[str, float]) -> None:
    """Raise FugatoError("bad-option") for a setting that neither has, or a value that makes no sense."""
    linear, network = divided(settings)
    ngram_linear.check(linear)
    NETWORK.check(network)


def representation() -> dict[str, Any]:
    """What the card says of the input: that of both."""
    linear, network = ngram_linear.representation(), NETWORK.representation()
    return {"name": f"{linear['name']} + {network['name']}", "settings": {**linear["settings"], **network["settings"]}}


def layers(n_labels: int) -> list[Layer]:
    """What happens to a piece, for a drawing of the recipe; the network has a drawing of its own."""
    return [
        *ngram_linear.layers(n_labels),
        Layer(NETWORK.NAME, "Network over events, mean over windows", ("n", n_labels), 0),
        Layer("pool", "Weighted sum of log probabilities", ("n", n_labels), 4),
        Layer("", "Softmax", ("n", n_labels), 0),
    ]
