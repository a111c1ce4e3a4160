"""Every error of our own, named by what the caller does next.

CatchlightError
├── Refused          the caller is wrong and must change something; nothing was done
│   ├── ConfigError      a setting (exit code 2)
│   ├── Unverified       a callback whose signature does not hold (401)
│   │   └── Mismatched   one that is well-formed, and that none of our secrets has signed
│   ├── Unparseable      a callback or an answer that is not a prediction (400)
│   ├── InvalidInput     a field of a request (422 or exit code 2)
│   ├── NotFound         an id we do not know (404 or exit code 3)
│   └── Conflict         the same key with other content, or an ambiguous id (409)
├── TryLater         nothing is wrong with the request; the same call may succeed later
│   ├── LedgerDown       Redis cannot take it (503)
│   │   └── LedgerFull   it takes no new work until what it holds is worked off; all else goes on
│   └── ProviderDown     the provider answers 429, 5xx or not at all; may carry `retry_after`
└── GiveUp           trying again will not help
    ├── ProviderRefused  the provider said no, with its status and message
    └── SubmitUnknown    a submit may or may not have reached the provider; never repeat it
"""

from __future__ import annotations


class CatchlightError(Exception):
    """Base of all; its text is one sentence for a person and never holds a secret."""


class Refused(CatchlightError):  # noqa: N818 - named by what to do next, as in the tree above
    pass


class TryLater(CatchlightError):  # noqa: N818 - the same
    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the other side asked us to wait, when it said so."""


class GiveUp(CatchlightError):  # noqa: N818 - the same
    pass


class ConfigError(Refused):
    pass


class Unverified(Refused):
    pass


class Mismatched(Unverified):
    pass


class Unparseable(Refused):
    pass


class InvalidInput(Refused):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class NotFound(Refused):
    pass


class Conflict(Refused):
    pass


class LedgerDown(TryLater):
    pass


class LedgerFull(LedgerDown):
    pass


class ProviderDown(TryLater):
    pass


class ProviderRefused(GiveUp):
    def __init__(
        self, status: int, message: str, word: str = "provider_refused", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        """The provider's HTTP status or envelope code."""
        self.word = word
        """What it comes to, as `service.wavespeed.Refusal` lists it."""
        self.retry_after = retry_after
        """Seconds it asked us to wait, when it said so; only being busy passes by itself."""


class SubmitUnknown(GiveUp):
    pass
