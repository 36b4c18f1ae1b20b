"""The published networks in Keras 3, trained beside Fugato's by keras_speed.py. Runs in the environment that keras_speed.py makes.

    python keras_networks.py RECIPE FOLDER EPOCHS

An epoch begins when a line comes in and ends with a line of JSON. Layers, sizes, optimiser and batches are those of the publications, as
in `fugato.recipes`; the LSTM networks take scaled columns, as their authors fed them, the rolls bytes that the first layer scales.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from keras import layers, regularizers


@keras.saving.register_keras_serializable("fugato")
class Attention(layers.Layer):
    """The score of a step is tanh(h·w + b_t), softmax over steps, weighted sum; as the publication's own layer."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.w = self.add_weight(name="w", shape=(shape[-1], 1), initializer="normal")
        self.b = self.add_weight(name="b", shape=(shape[1], 1), initializer="zeros")

    def call(self, steps: Any) -> Any:
        weight = keras.ops.softmax(keras.ops.tanh(keras.ops.matmul(steps, self.w) + self.b), axis=1)
        return keras.ops.sum(steps * weight, axis=1)


def lstm(settings: dict[str, float]) -> list[Any]:
    """One LSTM; the squares of its weights and of the output's are punished."""
    l2 = settings["l2"]
    return [
        layers.LSTM(
            int(settings["units"]), kernel_regularizer=regularizers.L2(l2), recurrent_regularizer=regularizers.L2(l2)
        ),
        layers.Dropout(settings["dropout"]),
    ]


def bilstm_attention(settings: dict[str, float]) -> list[Any]:
    """A bidirectional LSTM whose steps are weighed."""
    return [
        layers.Bidirectional(layers.LSTM(int(settings["units"]), return_sequences=True)),
        Attention(),
        layers.Dropout(settings["dropout"]),
    ]


def note_lstm(settings: dict[str, float]) -> list[Any]:
    """Three LSTMs and a dense layer."""
    made = []
    for units, all_steps in ((32, True), (120, True), (240, False)):
        made += [layers.LSTM(units, return_sequences=all_steps), layers.Dropout(settings["dropout"])]
    return [*made, layers.Dense(120, activation="relu")]


def pianoroll_cnn(settings: dict[str, float]) -> list[Any]:
    """Six blocks of causal convolutions and two dense layers."""
    made: list[Any] = [layers.Rescaling(1 / 127)]
    for filters in (256, 256, 128, 128, 64, 64):
        made += [
            layers.Conv1D(filters, 3, padding="causal", activation="relu"),
            layers.Dropout(settings["dropout"]),
            layers.MaxPooling1D(2),
        ]
    made.append(layers.Flatten())
    for _ in range(2):
        made += [layers.Dense(64, activation="relu"), layers.Dropout(settings["dropout"])]
    return made


NETWORKS = {
    "lstm": lstm,
    "bilstm-attention": bilstm_attention,
    "note-lstm": note_lstm,
    "pianoroll-cnn": pianoroll_cnn,
}


class Told(keras.callbacks.Callback):
    """Times epochs, validation among them, and waits between them."""

    def __init__(self, pipe: Any) -> None:
        super().__init__()
        self.pipe = pipe
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        sys.stdin.readline()
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.perf_counter() - self.started
        figures = {name: float(value) for name, value in (logs or {}).items()}
        print(json.dumps({"seconds": seconds, **figures}), file=self.pipe, flush=True)


def main() -> None:
    name, folder, epochs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed goes elsewhere
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    x, y = np.load(folder / "keras.npy"), np.load(folder / "label.npy")
    learnt = settings["windows"]
    keras.utils.set_random_seed(0)
    l2 = regularizers.L2(settings["l2"]) if settings.get("l2") else None
    output = layers.Dense(settings["labels"], activation="softmax", kernel_regularizer=l2)
    network = keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype.name), *NETWORKS[name](settings), output])
    network.compile(
        keras.optimizers.Adam(settings["learning_rate"]), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    about = {
        "parameters": network.count_params(),
        "jit_compile": network.jit_compile,
        "threads": {
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
            "cpus": os.cpu_count(),
        },
        "versions": {"python": sys.version.split()[0], "keras": keras.__version__, "tensorflow": tf.__version__},
    }
    print(json.dumps(about), file=pipe, flush=True)
    network.fit(
        x[:learnt],
        y[:learnt],
        batch_size=int(settings["batch_size"]),
        epochs=epochs,
        validation_data=(x[learnt:], y[learnt:]),
        validation_batch_size=settings["validation_batch"],
        callbacks=[Told(pipe)],
        verbose=0,
    )


if __name__ == "__main__":
    main()
