"""What this installation does, whether more of it would do more, and what bounds it now."""

from service.capacity.facts import Facts, OfRedis, Rates
from service.capacity.gathering import gather
from service.capacity.judging import judge
from service.capacity.verdict import Bound, Verdict

__all__ = ["Bound", "Facts", "OfRedis", "Rates", "Verdict", "gather", "judge"]
