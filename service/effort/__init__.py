"""How busy a process was in the last minute, and what its work waited for; it is told with every beat."""

from service.effort.meter import Meter
from service.effort.told import NOTHING, Effort

__all__ = ["NOTHING", "Effort", "Meter"]
