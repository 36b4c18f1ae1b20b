"""Every recipe and model is drawn layer by layer, and the layers have as many parameters as the whole."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.models.card import Card
from fugato.models.folder import save_model
from fugato.models.onnx_graph import observed_shapes, read_graph
from fugato.models.summary import model_summary
from fugato.models.summary import network_layers as layers_of_file
from fugato.write.network_picture import Layer, Summary, draw_network, runs

RUNNER = CliRunner()


def layer(kind: str, parameters: int = 0, name: str = "") -> Layer:
    return Layer(name, kind, ("n", 8), parameters)


# -- what torch is not needed for --------------------------------------------------------------------------------------


def test_shipped_models_are_drawn(tmp_path: Path) -> None:
    model = load_model("composer")
    summary = model_summary(model)
    names = len(model.labels)
    assert [x.kind for x in summary.layers][:1] == ["Input"] and summary.layers[-1].kind == "Softmax"
    assert summary.layers[3].output == ("n", names + 1), "and a column that tells strangers"
    assert "int8" in summary.layers[3].kind
    network = sum(layer.parameters for layer in layers_of_file(model.path("network")))
    pool = len(model.card.calibration["pool"])
    assert summary.parameters == sum(a.size for a in model.arrays("weights").values()) + network + pool
    result = RUNNER.invoke(app, ["models", "composer", "--draw", "--out", str(tmp_path / "composer.svg"), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == summary.to_dict() and "drawn as" in result.stderr
    text = (tmp_path / "composer.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    for words in (f"composer {model.card.version}", f"{summary.parameters:,} parameters", f"n × {names}", "Softmax"):
        assert words in text
    assert model_summary(load_model("works")).counted == "numbers", "an index is no network"


def test_a_linear_model_of_arrays_is_drawn_in_order(tmp_path: Path) -> None:
    arrays = {name: np.ones(size, np.float32) for name, size in (("mean", 6), ("scale", 6), ("bias", 2))}
    arrays["weights"] = np.ones((6, 2), np.float16)
    card = Card("linear", "1.0.0", "genre", "any", {"A": 1, "B": 1}, {"name": "six numbers"})
    save_model(tmp_path / "model", card, {"head": arrays})
    summary = model_summary(load_model(tmp_path / "model"))
    assert [(x.kind, x.output, x.parameters) for x in summary.layers] == [
        ("Input", ("n", 6), 0),
        ("Standardise", ("n", 6), 12),
        ("Dense, float16", ("n", 2), 14),
        ("Softmax", ("n", 2), 0),
    ]
    assert summary.counted == "parameters"


def test_repeated_layers_are_folded() -> None:
    block = [layer("LayerNorm", 16), layer("Attention", 300), layer("Dense", 600)]
    found = runs([layer("Input"), *block * 6, layer("Dense", 80)])
    assert [(len(r.layers), r.times) for r in found] == [(1, 1), (3, 6), (1, 1)]
    assert [(len(r.layers), r.times) for r in runs([layer("Conv1D 3", 9)] * 3)] == [(1, 3)]
    twice = [layer("ReLU"), layer("Conv1D 3", 9)] * 2
    assert [(len(r.layers), r.times) for r in runs(twice)] == [(4, 1)], "two are shown as they are"
    nested = ([layer("Conv1D 3", 9)] * 3 + [layer("Dense", 4)]) * 2
    assert sum(len(r.layers) * r.times for r in runs(nested)) == 8
    assert runs([]) == []


def test_a_long_network_goes_on_beside_itself(tmp_path: Path) -> None:
    layers = tuple(layer(f"Conv1D {k}", 10 + k, f"a.very.long.path.to.the.layer.number.{k}") for k in range(60))
    out = draw_network(Summary("long $1 $2", "sixty of them", layers), tmp_path / "long.svg")
    root = ElementTree.fromstring(out.read_text(encoding="utf-8"))
    width, height = (float(root.attrib[side].removesuffix("pt")) / 72 for side in ("width", "height"))
    assert width > 15 and height < 13 and "× " not in out.read_text(encoding="utf-8").split("sixty")[0]
    with pytest.raises(FugatoError) as refused:
        draw_network(Summary("x", "", layers), tmp_path / "no" / "such.png")
    assert refused.value.kind == "bad-output"


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"MThd and no network", b"\x3a\x85\x80", bytes(range(256))):
        path = tmp_path / "network.onnx"
        path.write_bytes(data)
        with pytest.raises(FugatoError) as refused:
            read_graph(path)
        assert refused.value.kind == "bad-model"
    with pytest.raises(FugatoError, match="cannot be read"):
        read_graph(tmp_path / "none.onnx")


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    for arguments, says in (
        (["--draw"], "Name the model or recipe"),
        (["composer", "--out", "x.png"], "goes with --draw"),
        (["composer", "--draw", "--out", str(tmp_path / "x.gif")], ".png or .svg"),
    ):
        result = RUNNER.invoke(app, ["models", *arguments])
        assert result.exit_code == 2 and says in result.stderr, result.stderr


# -- recipes -----------------------------------------------------------------------------------------------------------


def recipes() -> list[str]:
    """Names of all recipes, read without torch."""
    import fugato.recipes as room

    return [name for task in ("COMPOSER", "GENRE", "COMPOSE") for name in getattr(room, task, {})]


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_is_drawn(name: str, tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="drawing a recipe needs the extra train")
    pytest.importorskip("scipy", reason="drawing a recipe needs the extra train")
    from fugato.train.summary import recipe_summary

    summary = recipe_summary(name)
    assert summary.layers[0].kind == "Input" and len(summary.layers) >= 3
    assert summary.parameters > 0 or name == "markov", "all but counts have parameters"
    assert any(x.output and x.output[-1] == 10 for x in summary.layers) or "compose" in summary.about
    assert draw_network(summary, tmp_path / "recipe.png").stat().st_size > 10_000


def test_the_layers_have_all_parameters_of_a_network() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra train")
    from torch import nn

    from fugato.train.summary import network_layers

    shared = nn.Linear(8, 8)

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.zeros(5, 8))
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
            self.twice = nn.Sequential(shared, nn.ReLU(), shared)
            self.recurrent = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
            self.never = nn.Linear(8, 3)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.recurrent(self.twice(self.encoder(x + self.position)))[0]

    network = Odd().train()
    found = network_layers(network, (torch.zeros(3, 5, 8),))
    assert sum(x.parameters for x in found) == sum(p.numel() for p in network.parameters())
    assert network.training and not any(m._forward_hooks for m in network.modules())
    kinds = [x.kind for x in found]
    assert kinds.count("Attention") == 2 and kinds[-2:] == ["Bidirectional LSTM", "Weights outside of layers"]
    assert [x.parameters for x in found if x.name.startswith("twice")][:1] == [72], "shared weights count once"
    assert found[0].output == ("n", 5, 8) and found[-2].output == ("n", 5, 8)
    assert "position" in found[-1].name and "never" in found[-1].name


def test_what_is_computed_by_functions_is_shown_too() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra train")
    import torch.nn.functional as F
    from torch import nn

    from fugato.train.summary import network_layers

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.MaxPool1d(2))

        def forward(self, x):  # type: ignore[no-untyped-def]
            x = F.max_pool1d(F.relu(self.early(x)), 3)
            return x.mean(dim=2).softmax(dim=1)

    found = network_layers(Functional(), (torch.zeros(3, 4, 26),))
    assert [(x.kind, x.output[-1]) for x in found] == [
        ("Input", 26),
        ("Conv1D 3", 24),
        ("ReLU", 24),
        ("Max pool", 12),
        ("ReLU", 12),
        ("Max pool", 4),
        ("Softmax", 8),
    ], "in order, and those inside of modules once"


def test_a_network_is_read_from_its_onnx_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra train")
    pytest.importorskip("onnx", reason="needs the extra train")
    from torch import nn

    from fugato.recipes.exported import onnx_bytes
    from fugato.recipes.network import LSTM

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early = nn.Sequential(nn.Conv1d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2))
            self.recurrent = LSTM(8, 5, bidirectional=True)
            self.output = nn.Linear(10, 4)

        def forward(self, rows):  # type: ignore[no-untyped-def]
            return self.output(self.recurrent(self.early(rows.transpose(1, 2)).transpose(1, 2))[:, -1])

    torch.manual_seed(0)
    network = Small().eval()
    for p in network.parameters():  # the exporter keeps equal weights once
        nn.init.normal_(p)
    path = tmp_path / "network.onnx"
    path.write_bytes(onnx_bytes(network, np.random.default_rng(0).normal(size=(5, 20, 6)).astype(np.float32)))
    graph = read_graph(path)
    assert graph.inputs == ("rows",) and graph.outputs == ("scores",)
    assert observed_shapes(path, batch=7)["scores"] == (7, 4)
    found = layers_of_file(path)
    assert [(x.kind, x.output) for x in found] == [
        ("Input", ("n", 20, 6)),
        ("Conv1D 3", ("n", 8, 20)),
        ("ReLU", ("n", 8, 20)),
        ("Max pool", ("n", 8, 10)),
        ("Bidirectional LSTM", ("n", 10, 10)),
        ("Dense", ("n", 4)),
    ]
    assert sum(x.parameters for x in found) == sum(p.numel() for p in network.parameters())
    card = Card("small", "1.0.0", "composer", "lstm", {"A": 1, "B": 1, "C": 1, "D": 1}, {"name": "rows"})
    save_model(tmp_path / "model", card, {"network": path.read_bytes()})
    summary = model_summary(load_model(tmp_path / "model"))
    assert summary.layers == tuple(found) and "read from its ONNX graph" in summary.about
    broken = bytearray(path.read_bytes())
    at = broken.index(b"LSTM\x3a") if b"LSTM\x3a" in broken else broken.index(b"\x22\x04LSTM") + 2
    broken[at : at + 4] = b"LSTX"
    path.write_bytes(broken)
    with pytest.raises(FugatoError, match="ONNX Runtime cannot run") as refused:
        layers_of_file(path)
    assert refused.value.kind == "bad-model"
