"""Downstream hooks: what an operator declares, which events one gets, and what an answer of it means."""

from service.hooks.answers import Dead, Delivered, Parked, Retry, asked_wait, decide, decide_probe
from service.hooks.declared import Hook, http_url, mask_url
from service.hooks.matching import matches

__all__ = [
    "Dead",
    "Delivered",
    "Hook",
    "Parked",
    "Retry",
    "asked_wait",
    "decide",
    "decide_probe",
    "http_url",
    "mask_url",
    "matches",
]
