"""F22: secrets go through a whole run and its failures, and stand afterwards only where they belong."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.faults import proxy
from tests.faults.family import Family, declared
from tests.faults.load import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from tests.faults.chance import Chance

API_KEY = "canary-of-the-api-key-5d1f"
ADMIN_TOKEN = "canary-of-the-admin-token-93b2"
VIEWER_TOKEN = "canary-of-the-viewer-token-2c8a"
WEBHOOK_SECRET = "whsec_canary-of-the-callbacks-77c0"
HOOK_TOKEN = "canary-in-the-hooks-query-e41a"
CANARIES = {
    "the API key": API_KEY,
    "the admin token": ADMIN_TOKEN,
    "the viewer token": VIEWER_TOKEN,
    "the callbacks' secret": WEBHOOK_SECRET.removeprefix("whsec_"),
    "the hook's query": HOOK_TOKEN,
    "the hook's secret": "ZmF1bHRzIGtlZXAgbm8gc2VjcmV0cyBhdCBhbGw",
}
SETTINGS = {
    "wavespeed_api_key": API_KEY,
    "admin_token": ADMIN_TOKEN,
    "viewer_token": VIEWER_TOKEN,
    "webhook_secrets": WEBHOOK_SECRET,
}
REALLY_STARTED = {"": {"PYTHONFAULTHANDLER": "1"}}
"""A forked process would show the command line of the tests' forge."""
PATHS = (
    *("/api/v1/predictions", "/api/v1/deliveries", "/api/v1/hooks", "/api/v1/status", "/api/v1/nothing"),
    *("/healthz", "/readyz?verbose=1", "/metrics", "/openapi.json", "/", "/webhooks/wavespeed"),
)


def test_f22_no_secret_is_found_in_logs_redis_files_answers_or_command_lines(
    tmp_path: Path, chance: Chance
) -> None:
    dead_hook = declared("away", f"http://127.0.0.1:9/hook?token={HOOK_TOKEN}")
    config = {"api_key": API_KEY, "secrets": (WEBHOOK_SECRET,), "fault_rate": 0.2}
    changes = SETTINGS | {"log_level": "debug", "hook_schedule": "200ms,400ms,1s,1s"}
    with Family(
        tmp_path,
        chance.seed,
        changes=changes,
        simulator=config,
        more_hooks=dead_hook,
        variables=REALLY_STARTED,
    ) as family:
        load = Load(family, chance, 40, 20)
        answers = dict(asked(family))
        for way in ("provider", "hook", "origin", "redis"):
            family.fault(way, proxy.RESET)
            time.sleep(chance.between(0.4, 0.8))
            answers |= {f"{name} while {way} fails": text for name, text in asked(family)}
            family.fault(way, proxy.PASS)
        family.kill("work-1")
        load.wait()
        family.calm()
        family.settle()
        answers |= {f"{name} at the end": text for name, text in asked(family)}
        places = {**answers, **stored(family.redis), **files(tmp_path), **command_lines(family)}
        for place, text in places.items():
            for canary, secret in CANARIES.items():
                if secret in text:
                    family.history.write("leak", canary=canary, place=place)
        assert len(places) > 100
        assert "service.cli\0serve" in "".join(command_lines(family).values())
        family.judge()


def asked(family: Family) -> Iterator[tuple[str, str]]:
    """Status line, headers and body of every answer, to those who may ask and to those who may not."""
    ids = [f"/api/v1/predictions/{family.simulator.listed()[0].id}"] if family.simulator.listed() else []
    # Who guesses must wait, and with him all at his address.
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=family.base, transport=elsewhere, timeout=30) as stranger:
        askers = ((ADMIN_TOKEN, family.client), (VIEWER_TOKEN, family.client), ("wrong", stranger))
        for (token, client), path in itertools.product(askers, (*PATHS, *ids)):
            try:
                answer = client.get(path, headers={"authorization": f"Bearer {token}"})
            except httpx.HTTPError as error:
                yield f"{path} as {token}", repr(error)
            else:
                yield f"{path} as {token}", f"{answer.status_code} {answer.headers} {answer.text}"


def stored(server: redis.Redis) -> dict[str, str]:
    return {f"Redis {name!r}": f"{name!r} {value(server, name)!r}" for name in server.scan_iter(count=1000)}


def value(server: redis.Redis, name: bytes) -> Any:
    match server.type(name):
        case b"string":
            return server.get(name)
        case b"hash":
            return server.hgetall(name)
        case b"list":
            return server.lrange(name, 0, -1)
        case b"set":
            return server.smembers(name)
        case _:
            return server.zrange(name, 0, -1)


def files(folder: Path) -> dict[str, str]:
    """All but the settings, which hold the hooks' secrets and addresses."""
    return {
        str(path): path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file() and path.name != "catchlight.toml"
    }


def command_lines(family: Family) -> dict[str, str]:
    pids = [slot.pid for slot in family.processes.slots.values() if slot.pid]
    return {f"command line of {pid}": Path(f"/proc/{pid}/cmdline").read_text("utf-8") for pid in pids}
