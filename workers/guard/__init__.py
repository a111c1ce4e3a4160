"""Which URLs and addresses we may connect to, and HTTP clients that cannot connect elsewhere."""

from workers.guard.client import guarded_client
from workers.guard.resolver import GuardedResolver, Lookup
from workers.guard.rules import Guard
from workers.guard.session import GuardedSession
from workers.guard.spelling import GuardRefused, Target

__all__ = ["Guard", "GuardRefused", "GuardedResolver", "GuardedSession", "Lookup", "Target", "guarded_client"]
