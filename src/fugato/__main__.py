"""``python -m fugato``: the same as the ``fugato`` command."""

from .cli import main

if __name__ == "__main__":
    main()
