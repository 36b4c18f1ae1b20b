"""Fugato: who composed it, which genre it is, and new music in a composer's style."""
