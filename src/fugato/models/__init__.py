"""Model folders: cards, checked files, names, ONNX sessions, calibration; the shipped models lie in ``shipped/``."""

from .calibration import fit_temperature, log_loss, log_softmax, softmax
from .card import Card, CardFile, read_card
from .folder import Model, check_target, load_model, save_model, taken_up
from .names import Listed, find_model, home, list_models, local_folder
from .session import onnx_session

__all__ = [
    "Card",
    "CardFile",
    "Model",
    "Listed",
    "load_model",
    "save_model",
    "check_target",
    "taken_up",
    "read_card",
    "find_model",
    "list_models",
    "local_folder",
    "home",
    "onnx_session",
    "softmax",
    "log_softmax",
    "log_loss",
    "fit_temperature",
]
