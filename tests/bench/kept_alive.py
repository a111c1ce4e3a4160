"""HTTP/1.1 with keep-alive and without pipelining: all that a client in good order needs of a stand-in."""

from __future__ import annotations

import asyncio
import socket


class KeptAlive(asyncio.Protocol):
    heard = b""
    """Of the request that is coming."""
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def length(head: bytes) -> int:
    """Of the body behind it."""
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0
