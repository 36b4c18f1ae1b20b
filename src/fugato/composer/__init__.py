"""Who wrote this?"""

from __future__ import annotations

from fugato.composer.identify import identify, identify_many
from fugato.composer.listen import Listener

__all__ = ["Listener", "identify", "identify_many"]
