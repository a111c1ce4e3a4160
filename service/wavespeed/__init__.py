"""WaveSpeedAI: the one place that speaks its API, its callbacks and its signatures."""

from service.wavespeed.answer import Refusal
from service.wavespeed.client import Client, clients, open_http
from service.wavespeed.inputs import validate
from service.wavespeed.parse import parse, report
from service.wavespeed.signature import Verified, claimed_id, is_among, verify
from service.wavespeed.snippet import curl

SOURCE = "wavespeed"
"""The source of an account whose name nobody chose."""

__all__ = [
    "SOURCE",
    "Client",
    "Refusal",
    "Verified",
    "claimed_id",
    "clients",
    "curl",
    "is_among",
    "open_http",
    "parse",
    "report",
    "validate",
    "verify",
]
