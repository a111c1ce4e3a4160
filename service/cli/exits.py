"""The exit codes of all commands, as the contract has them; 0 is fine."""

from typing import Final

FAILED: Final = 1
USAGE: Final = 2
"""Usage or configuration."""
NOT_FOUND: Final = 3
UNHEALTHY: Final = 4
PARTLY: Final = 5
"""Some of it was done."""
