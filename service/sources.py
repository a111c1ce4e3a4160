"""A source: one provider account, with all that we use of it. Its key and secrets are nobody else's."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    path: str
    """Where its callbacks come in: `/webhooks/<name>`, or its own."""
    provider_url: str
    poll_rate: float
    """Requests per second."""
    key: str | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Any of them may have signed a callback; none of another source may."""
