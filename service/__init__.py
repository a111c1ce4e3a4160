"""Catchlight's service: what it knows, what it writes down, and its fronts (web, command line, simulator)."""
