"""Downstream hooks: what an operator declares, which events one gets, and what an answer of it means."""

from service.hooks.answers import Dead, Delivered, Retry, decide
from service.hooks.declared import Hook, http_url, mask_url
from service.hooks.matching import matches

__all__ = ["Dead", "Delivered", "Hook", "Retry", "decide", "http_url", "mask_url", "matches"]
