"""What the network of a recipe is made of, before it is trained: built once, run once, watched by forward hooks.

Every module that is called tells the shape of what it gives; modules in which others were called stand aside for those. Pooling,
activations and attention that a network computes by functions are met on the way (`torch.overrides.TorchFunctionMode`). Weights count
once, for the first layer that has them, so that the layers together have as many as the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fugato import recipes
from fugato.errors import FugatoError
from fugato.recipes.network import NetworkRecipe, Statistics
from fugato.represent import windows
from fugato.train.drawings import DRAWINGS
from fugato.write.network_picture import Layer, Summary

MARKER: Final = 3  # inputs at a time; what comes out with so many rows has "n"
LABELS: Final = 10  # names, where a recipe is not yet trained on any
CALLED: Final = {  # class: what it is called
    "Linear": "Dense",
    "Conv1d": "Conv1D",
    "Conv2d": "Conv2D",
    "BatchNorm1d": "BatchNorm",
    "BatchNorm2d": "BatchNorm",
    "MaxPool1d": "Max pool",
    "MaxPool2d": "Max pool",
    "AvgPool1d": "Average pool",
    "AvgPool2d": "Average pool",
    "AdaptiveAvgPool1d": "Average pool",
    "AdaptiveAvgPool2d": "Average pool",
    "EmbeddingBag": "Embedding, summed",
    "MultiheadAttention": "Attention",
    "Tanh": "tanh",
}
FUNCTIONS: Final = {  # function: what it is called
    "max_pool1d": "Max pool",
    "max_pool2d": "Max pool",
    "avg_pool1d": "Average pool",
    "avg_pool2d": "Average pool",
    "adaptive_avg_pool1d": "Average pool",
    "adaptive_avg_pool2d": "Average pool",
    "relu": "ReLU",
    "gelu": "GELU",
    "tanh": "tanh",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "scaled_dot_product_attention": "Attention: products, softmax",
}
UNSEEN: Final = {"Dropout", "Dropout1d", "Dropout2d", "Identity"}  # say nothing about what flows


def recipe_summary(name: str) -> Summary:
    """The layers of a recipe with its published settings.

    Parameters
    ----------
    name : str
        Of a recipe of any task.

    Returns
    -------
    Summary

    Raises
    ------
    FugatoError
        ``no-model`` where there is none of that name; ``bad-option`` where it needs a package that is not installed, or does not say
        what it is made of.
    """
    task = recipes.task_of(name)
    found = recipes.recipe(task, name)
    about = f"recipe of the task {task}, " + ("drawn for an example" if task == "compose" else f"{LABELS} names")
    if isinstance(found, NetworkRecipe):
        kind = _kind_of_window(found)
        rows = np.zeros((MARKER, kind.size, len(kind.columns)), kind.dtype)
        network = found.build(LABELS, _known(found), found.settings())
        return Summary(name, about, tuple(network_layers(network, (torch.from_numpy(rows),))))
    if hasattr(found, "example"):
        network, inputs = found.example(LABELS, MARKER)
        return Summary(name, about, tuple(network_layers(network, inputs)))
    if hasattr(found, "layers"):
        return Summary(name, about, tuple(found.layers(LABELS)))
    if name in DRAWINGS:
        drawn = DRAWINGS[name](found, LABELS, MARKER)
        return Summary(name, about, tuple(drawn if isinstance(drawn, list) else network_layers(*drawn)))
    raise FugatoError(
        "bad-option",
        f"The recipe {name} does not say what it is made of; train a model with it and draw that: fugato models DIR --draw.",
    )


def _kind_of_window(recipe: NetworkRecipe) -> windows.Kind:
    """Of scores, or else of sound."""
    of_sound: Mapping[str, windows.Kind] = getattr(windows, "SOUND_KINDS", {})
    return windows.KINDS.get(recipe.kind) or of_sound[recipe.kind]


def _known(recipe: NetworkRecipe) -> Statistics:
    """Statistics of random rows in which, as in music, a note that starts later ends later."""
    kind = _kind_of_window(recipe)
    rows = np.random.default_rng(0).integers(1, 100, (1000, len(kind.columns))).astype(kind.dtype)
    if {"start", "end"} <= set(kind.columns):
        rows[:, kind.columns.index("end")] = rows[:, kind.columns.index("start")]
    return recipe.statistics(rows)


def network_layers(network: nn.Module, inputs: Sequence[Tensor]) -> list[Layer]:
    """The layers of a network, in the order in which they are called on an example.

    Parameters
    ----------
    network : torch.nn.Module
    inputs : sequence of Tensor
        With `MARKER` rows, where the first dimension is free.

    Returns
    -------
    list of Layer
        The inputs first. Their parameters together are those of the network.
    """
    calls: list[tuple[str, nn.Module | str, tuple[int, ...]]] = []
    within: list[tuple[str, nn.Module]] = [("", network)]
    parents: set[str] = set()

    class Functions(TorchFunctionMode):
        """Notes what is computed outside of modules that have nothing inside."""

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = function(*args, **(kwargs or {}))
            kind = FUNCTIONS.get(getattr(function, "__name__", "").lstrip("_"))
            name, module = within[-1]
            if kind and (module is network or any(True for _ in module.children())):
                calls.append((name, kind, _shape(output)))
            return output

    def enter(name: str) -> Any:
        return lambda module, _: within.append((name, module))

    def leave(name: str) -> Any:
        def watch(module: nn.Module, _: Any, output: Any) -> None:
            within.pop()
            calls.append((name, module, _shape(output)))
            parts = name.split(".")
            parents.update(".".join(parts[:n]) for n in range(1, len(parts)))

        return watch

    hooks = []
    for name, module in network.named_modules():
        if name:
            hooks += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave(name))]
    training = network.training
    fast = torch.backends.mha.get_fastpath_enabled()
    network.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # it goes past the modules inside a transformer's layers
    try:
        with torch.inference_mode(), Functions():
            network(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        network.train(training)
        for hook in hooks:
            hook.remove()
    layers = [Layer("", "Input", _marked(tuple(x.shape)), 0) for x in inputs]
    seen: set[int] = set()
    for name, what, shape in calls:
        if isinstance(what, str):
            layers.append(Layer(name, what, _marked(shape), 0))
            continue
        own = what.parameters() if name not in parents else what.parameters(recurse=False)
        fresh = [p for p in own if id(p) not in seen and p.requires_grad]
        seen.update(id(p) for p in fresh)
        count = sum(p.numel() for p in fresh)
        if (name in parents and not count) or type(what).__name__ in UNSEEN:
            continue
        layers.append(Layer(name, _kind(what), _marked(shape), count))
    rest = {name: p.numel() for name, p in network.named_parameters() if id(p) not in seen and p.requires_grad}
    if rest:  # positions, biases of steps: they belong to no module that is called
        layers.append(Layer(", ".join(rest), "Weights outside of layers", (), sum(rest.values())))
    return layers


def _kind(module: nn.Module) -> str:
    name = type(module).__name__
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        kind = f"{CALLED[name]} {'×'.join(map(str, module.kernel_size))}"
        return f"{kind}, stride {module.stride[0]}" if module.stride[0] > 1 else kind
    inner = next((m for m in module.modules() if isinstance(m, nn.LSTM | nn.GRU)), None)
    if isinstance(module, nn.LSTM | nn.GRU) or (inner is not None and len(list(module.children())) == 1):
        assert inner is not None
        kind = f"Bidirectional {type(inner).__name__}" if inner.bidirectional else type(inner).__name__
        return f"{kind}, {inner.num_layers} layers" if inner.num_layers > 1 else kind
    return CALLED.get(name, name.lstrip("_"))


def _shape(output: Any) -> tuple[int, ...]:
    """Of a tensor, or of the first in a tuple."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return tuple(output.shape) if isinstance(output, Tensor) else ()


def _marked(shape: tuple[int, ...]) -> tuple[int | str, ...]:
    """With "n" for the number of inputs, and "n·512" where steps were laid beside them."""
    if not shape or shape[0] % MARKER or not shape[0]:
        return shape
    return ("n" if shape[0] == MARKER else f"n·{shape[0] // MARKER}", *shape[1:])
