"""The certificate authorities that a client of ours trusts when it says nothing else."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import ssl


@functools.cache
def bundled() -> ssl.SSLContext:
    """Whatever the environment names. Loading them takes 30 ms, so once and not for every client."""
    return httpx.create_ssl_context(trust_env=False)
