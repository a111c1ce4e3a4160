"""A span as those see it who say what happens in it; this one is of a process that has no traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


class Span:
    """A context manager; inside, whatever is begun as its child hangs below it."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, name: str, value: str | float | None) -> None:
        """An attribute; None says nothing."""

    def fail(self, why: str) -> None:
        """It did not come to what was wanted; `why` is for people."""

    def id(self) -> int:
        """0 is none."""
        return 0

    def headers(self) -> Mapping[str, str]:
        """What tells whoever is called next which trace this is (W3C Trace Context)."""
        return {}


OFF = Span()
