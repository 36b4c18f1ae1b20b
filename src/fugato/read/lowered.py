"""What the system lets a process have, lowered from within it."""

from __future__ import annotations


def lower_limit(name: str, most: int) -> None:
    """Lower a limit of this process where the system has such a thing: a name of the module ``resource``, as "RLIMIT_CPU"."""
    try:
        import resource
    except ImportError:  # Windows
        return
    which = getattr(resource, name)
    try:
        _, hard = resource.getrlimit(which)
        resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    except (OSError, ValueError):
        return
