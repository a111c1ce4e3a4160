"""Catchlight's service: what it knows, what it writes down, and its fronts (web, command line, simulator)."""

import os

# Pydantic looks through every installed distribution for plug-ins of its own: a tenth of a command's start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
