"""The logger of rooms that commands load too, and in which a command hardly ever says a line."""

from __future__ import annotations

from typing import Any


class LateLog:
    """structlog's logger of that name, and the library loaded only when a line is said.

    It brings rich's tracebacks along, a sixth of what a command such as `ls` costs to start.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Any = None

    def __getattr__(self, level: str) -> Any:
        if self._logger is None:
            import structlog  # noqa: PLC0415 - that is the whole point

            # The library's own proxy: it follows a configuration that comes later.
            self._logger = structlog.get_logger(self._name)
        return getattr(self._logger, level)
