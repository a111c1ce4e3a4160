"""`python -m workers ROLE|ERRAND`: the roles and errands of this room, as `catchlight` starts them."""

from __future__ import annotations

import sys

from service.errors import CatchlightError, ConfigError
from service.settings import load
from workers import errands, roles


def main(arguments: list[str]) -> int:
    """Exit code 0, or 2 with one sentence for wrong usage and settings."""
    commands = {
        "work": roles.work,
        "sweep": roles.sweep,
        "alone": roles.alone,
        "check": errands.check,
        "ping": errands.ping,
        "reconcile": errands.reconcile,
        "reindex": errands.reindex,
    }
    if not arguments or arguments[0] not in commands:
        sys.stderr.write(f"usage: python -m workers {'|'.join(commands)}\n")
        return 2
    try:
        return commands[arguments[0]](load(), arguments[1:])
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except CatchlightError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
