"""What a model or a recipe is made of, by its name."""

from __future__ import annotations

from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.models.summary import model_summary
from fugato.recipes import task_of
from fugato.write.network_picture import Summary


def summary_of(name: str) -> Summary:
    """The layers of a model (a shipped or local name, or a folder), or else of a recipe.

    Parameters
    ----------
    name : str

    Returns
    -------
    Summary

    Raises
    ------
    FugatoError
        ``no-model`` where neither a model nor a recipe is called so; ``bad-model`` where a model cannot be read; ``bad-option`` where a
        recipe needs a package that is not installed.
    """
    try:
        model = load_model(name)
    except FugatoError as error:
        if error.kind != "no-model":
            raise
        task_of(name)
        try:
            from fugato.train.summary import recipe_summary
        except ModuleNotFoundError as missing:
            if missing.name is not None and missing.name.startswith("fugato"):
                raise
            raise FugatoError(
                "bad-option",
                f"Drawing the recipe {name} needs the package {missing.name}: install it with  pip install 'fugato[train]'.",
            ) from missing
        return recipe_summary(name)
    return model_summary(model)
