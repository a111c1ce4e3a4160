"""Downstream hooks: what an operator declares, which events one gets, and what an answer of it means."""

from service.hooks.answers import Dead, Delivered, Parked, Retry, asked_wait, decide, decide_probe
from service.hooks.budget import Outage, budget, due
from service.hooks.declared import Hook, http_url, mask_url
from service.hooks.matching import hears_of_hooks, matches

__all__ = [
    "Dead",
    "Delivered",
    "Hook",
    "Outage",
    "Parked",
    "Retry",
    "asked_wait",
    "budget",
    "decide",
    "decide_probe",
    "due",
    "hears_of_hooks",
    "http_url",
    "mask_url",
    "matches",
]
