"""Which URLs and addresses we may connect to, and an HTTP client that cannot connect elsewhere."""

from workers.guard.client import GuardedClient, GuardedResolver, Lookup, guarded_client
from workers.guard.rules import Guard
from workers.guard.spelling import GuardRefused, Target

__all__ = ["Guard", "GuardRefused", "GuardedClient", "GuardedResolver", "Lookup", "Target", "guarded_client"]
