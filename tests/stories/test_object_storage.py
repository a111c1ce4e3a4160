"""The same way of the data into a bucket of a real S3 server."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING

from service.storage import open_vault
from tests.stories.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from tests.seaweed import Seaweed

pytest_plugins = ["tests.seaweed"]


def test_outputs_and_held_outputs_go_to_the_bucket(tmp_path: Path, s3: Seaweed) -> None:
    url = f"s3://{s3.bucket}/stories"
    with House(tmp_path, {"storage_url": url}) as house:
        stored = house.ended(house.submit("clean"))
        held = house.ended(house.submit("flagged"))

    assert stored["outputs"][0]["uri"].startswith(f"{url}/stories_painter/")
    assert held["outputs"][0]["uri"].startswith(f"{url}/held/stories_painter/")

    async def read(uri: str) -> bytes:
        vault = open_vault(url, None, threads=2)
        try:
            return await vault.read(uri.removeprefix(f"{url}/"), held=False)
        finally:
            await vault.aclose()

    [output] = stored["outputs"]
    assert hashlib.sha256(asyncio.run(read(output["uri"]))).hexdigest() == output["sha256"]
    manifest = asyncio.run(read(output["uri"].rpartition("/")[0] + "/manifest.json"))
    assert json.loads(manifest)["outputs"][0]["uri"] == output["uri"]
