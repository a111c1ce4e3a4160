"""Callbacks that must be turned away, one or thousands of them, and what the API says of them afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.serving import PATH, callback, sign
from tests.workplace import until

if TYPE_CHECKING:
    from tests.serving import Served

GOOD = callback()
FORGED = sign(GOOD, secret="other")
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()


def raw(headers: dict[str, str], body: bytes, length: int | None = None) -> bytes:
    told = headers | {"content-length": str(len(body) if length is None else length)}
    return HEAD + "".join(f"{name}: {value}\r\n" for name, value in told.items()).encode() + b"\r\n" + body


async def listed(server: Served, **params: Any) -> Any:
    answer = await server.client.get("/api/v1/refused", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def totals(server: Served) -> dict[str, int]:
    found: dict[str, int] = (await listed(server))["totals"]
    return found


async def counted(server: Served, **expected: int) -> None:
    async def holds() -> bool:
        return await totals(server) == expected

    await until(holds, what=f"the totals are {expected}")


async def flood(server: Served, times: int, connections: int = 20) -> None:
    """So many forged callbacks, each answered 401."""
    request = raw(FORGED, GOOD)

    async def pour(share: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(share):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 401 ")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
        writer.close()

    await asyncio.gather(*(pour(times // connections) for _ in range(connections)))
