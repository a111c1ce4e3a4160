"""Signed callbacks until stdin ends, and their answers: `python -m tests.walkthrough.sender URL SECRET`."""

from __future__ import annotations

import asyncio
import collections
import hashlib
import hmac
import json
import sys
import time

import httpx

_EVERY = 0.02


async def main(url: str, secret: str) -> None:
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    answers: collections.Counter[str] = collections.Counter()
    key, run = secret.removeprefix("whsec_").encode(), int(time.time())

    async def send(number: int) -> None:
        body = json.dumps({
            "id": f"update-{run}-{number}", "model": "acme/llm", "status": "completed",
            "outputs": ["A fox in snow."], "has_nsfw_contents": [False],
        })  # fmt: skip
        signed = f"msg_{number}.{int(time.time())}"
        digest = hmac.new(key, f"{signed}.{body}".encode(), hashlib.sha256).hexdigest()
        message, _, at = signed.partition(".")
        headers = {"webhook-id": message, "webhook-timestamp": at, "webhook-signature": f"v3,{digest}"}
        try:
            answers[str((await client.post(url, content=body, headers=headers)).status_code)] += 1
        except httpx.HTTPError as error:
            answers[type(error).__name__] += 1

    async with httpx.AsyncClient(timeout=30, trust_env=False) as client, asyncio.TaskGroup() as group:
        sent = 0
        while not over.done():
            group.create_task(send(sent := sent + 1))
            await asyncio.sleep(_EVERY)
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
