"""Is anything wrong, and what ends it? Facts of the ledger, judged the same for every front."""

from service.troubles.facts import Facts
from service.troubles.gathering import gather
from service.troubles.judging import ROLES, judge, missing
from service.troubles.now import Now, look
from service.troubles.trouble import Button, Trouble, healthy

__all__ = [
    "ROLES",
    "Button",
    "Facts",
    "Now",
    "Trouble",
    "gather",
    "healthy",
    "judge",
    "look",
    "missing",
]
