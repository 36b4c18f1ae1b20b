"""Who wrote this?"""

from __future__ import annotations

from fugato.composer.identify import identify, identify_many

__all__ = ["identify", "identify_many"]
