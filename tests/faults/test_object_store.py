"""F11: an object store that fails delays files; acknowledging goes on, and nothing is left half."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.store import S3Store

from service.storage.objects import CLIENT
from tests.faults import proxy
from tests.faults.backstage import Backstage
from tests.faults.family import Family
from tests.faults.load import Load
from tests.faults.prober import Prober
from tests.faults.proxy import FaultProxy
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.chance import Chance
    from tests.faults.history import History
    from tests.seaweed import Seaweed

pytest_plugins = ["tests.seaweed"]


def test_f11_a_store_that_fails_delays_and_leaves_no_halves(
    tmp_path: Path, chance: Chance, s3: Seaweed
) -> None:
    prefix = secrets.token_hex(8)
    with Backstage() as backstage, FaultProxy(urlsplit(s3.endpoint).port or 0, backstage) as between:
        variables = {"": s3.environment | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{between.port}"}}
        changes = {"storage_url": f"s3://{s3.bucket}/{prefix}"}
        with (
            Family(tmp_path, chance.seed, ways=(), changes=changes, variables=variables) as family,
            Prober(family) as prober,
        ):
            family.list_files = lambda history: objects(history, s3, prefix)
            load = Load(family, chance, 100, 10)
            for mode in (proxy.UNAVAILABLE, proxy.BLACK_HOLE, proxy.RESET, proxy.delay(0.3)):
                accepted = between.accepted
                between.set(mode)
                family.history.write("fault", name=f"s3 {mode}", begins=True, in_flight=0)
                wait_until(partial(asked_since, between, accepted), what=f"it is asked while {mode}")
                assert prober.last_status == 200
                between.set(proxy.PASS)
            load.wait()
            family.ends_well()
    assert s3.unfinished_uploads() == 0


def asked_since(between: FaultProxy, connections: int) -> bool:
    return between.accepted > connections + 3


def objects(history: History, s3: Seaweed, prefix: str) -> None:
    """The bucket's objects, as the files of a folder."""

    async def listed() -> None:
        store = S3Store.from_url(f"s3://{s3.bucket}/{prefix}", client_options=CLIENT)
        async for page in store.list():
            for meta in page:
                data = bytes(await (await store.get_async(meta["path"])).bytes_async())
                history.write(
                    "file", path=meta["path"], sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)
                )

    asyncio.run(listed())
