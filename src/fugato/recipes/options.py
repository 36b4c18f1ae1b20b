"""What recipes check of the settings that they are given."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fugato.errors import FugatoError


def check_names(recipe: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise FugatoError("bad-option") where a setting is given that the recipe does not have.

    Parameters
    ----------
    recipe : str
        Its name, for the message.
    given, known : iterables of str
        Names of settings.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise FugatoError(
            "bad-option", f"{recipe} has no setting {', '.join(unknown)}; its settings are {', '.join(known)}."
        )
