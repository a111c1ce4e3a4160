"""Intents to submit, written before the provider is asked: a POST that may have arrived is never repeated."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from service import keys
from service.ledger.connection import reaching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.ledger.scripts import Scripts

KEPT_FOR = 7 * 86_400
"""Seconds: as long as the provider lists what became of one. A forgotten key would bill again."""
_WRITTEN = ("digest", "model", "at", "id")
_CLOCKS_APART = 120.0
"""Seconds by which the provider's clock may differ from ours when an intent is tied to a found id."""


@dataclass(frozen=True, slots=True)
class Intent:
    key: str
    digest: str
    """Of the request's body: the same key with another body is a conflict."""
    model: str
    at: float
    id: str | None = None
    """The prediction it became; None while that is not known."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    """Where it was submitted; of a version that knew only one, nothing."""


class Intents:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._redis = scripts.redis

    async def begin(self, intent: Intent) -> Intent | None:
        """Write it down first; returns the earlier intent of the same key, when there is one."""
        text = _encoded(intent, uuid.uuid4().hex)
        earlier = await self._scripts.run("intend", intent.key, text, f"{intent.at:.3f}", KEPT_FOR)
        return _decoded(intent.key, earlier) if earlier else None

    async def find(self, key: str) -> Intent | None:
        """What was written under a key, for as long as that is remembered."""
        with reaching():
            text = cast("str | None", await self._redis.get(keys.INTENT + key))
        return _decoded(key, text) if text else None

    async def became(self, intent: Intent, id_: str) -> None:
        done = replace(intent, id=id_)
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(keys.INTENT + intent.key, _encoded(done), ex=KEPT_FOR)
                pipe.zrem(keys.INTENTS_OPEN, intent.key)
                await pipe.execute()

    async def forget(self, key: str) -> None:
        """The provider certainly did not take it: the same key may try again."""
        with reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(keys.INTENT + key)
                pipe.zrem(keys.INTENTS_OPEN, key)
                pipe.zrem(keys.INTENTS, key)
                await pipe.execute()

    async def matching(self, source: str, model: str, created_at: float) -> Intent | None:
        """The one open intent that a prediction found at the provider can come from; None when in doubt."""
        low, high = created_at - _CLOCKS_APART, created_at + _CLOCKS_APART
        with reaching():
            open_keys = cast("list[str]", await self._redis.zrangebyscore(keys.INTENTS_OPEN, low, high))
            texts = await self._redis.mget([keys.INTENT + key for key in open_keys]) if open_keys else []
        written = zip(open_keys, cast("list[str | None]", texts), strict=True)
        intents = [_decoded(key, text) for key, text in written if text]
        found = [one for one in intents if one.model == model and one.source in ("", source)]
        return found[0] if len(found) == 1 else None


def _encoded(intent: Intent, nonce: str = "") -> str:
    fields = {name: getattr(intent, name) for name in _WRITTEN}
    more = {"metadata": dict(intent.metadata), "source": intent.source, "nonce": nonce}
    return json.dumps(fields | more)


def _decoded(key: str, text: str) -> Intent:
    fields = json.loads(text)
    more = {"metadata": fields["metadata"], "source": fields.get("source", "")}
    return Intent(key=key, **more, **{name: fields[name] for name in _WRITTEN})
