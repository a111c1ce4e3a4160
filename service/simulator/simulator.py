"""The simulated provider's state: predictions, each with its scenario, and the callbacks it still owes."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Self

import httpx
from httpx_aiohttp import HttpxAiohttpClient

from service import clock
from service.authorities import bundled
from service.simulator import wire
from service.simulator.courier import deliver
from service.simulator.media import render
from service.simulator.plot import IMAGE_MODEL, Cdn, download, ending, letters, triggered_scenario
from service.simulator.scenario import DEMO_MIX, Scenario, draw
from service.simulator.truth import Prediction, totals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

DEMO_SECRET = "whsec_c2ltdWxhdGVkLXByb3ZpZGVyLW5vdC1hLXNlY3JldA=="  # noqa: S105 - known to all, for loopback only


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Times are seconds, probabilities from 0 to 1."""

    seed: int = 1
    """The n-th prediction's id, scenario and delay follow from it."""
    secrets: tuple[str, ...] = (DEMO_SECRET,)
    """Callbacks carry one signature for each; `/webhook/secret` tells the first."""
    api_key: str = ""
    """The only key that is accepted; any, when empty."""
    public_url: str = ""
    """What our own URLs begin with, when it is not the address we listen on."""
    mix: Mapping[Scenario, float] = field(default_factory=lambda: DEMO_MIX)
    delay: tuple[float, float] = (0.5, 3.0)
    """A generation takes something between these."""
    media_bytes: int = 20_000
    callback_retries: int = 3
    callback_retry_base: float = 1.0
    fault_rate: float = 0.0
    """How often the API answers a result with 429 or 5xx."""
    flaky_times: int = 2
    stall: float = 2.0
    """How long a slow download keeps silent in the middle."""
    keep: int = 100_000
    """Predictions remembered; the oldest are forgotten first."""


class Rejected(Exception):  # noqa: N818 - an answer of the simulated provider, no error of ours
    """A submit that the provider's documentation says is refused, with its code there."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Simulator:
    """Use it as an async context manager: leaving it drops the callbacks still under way."""

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self.config = config or SimulatorConfig()
        self.base_url = self.config.public_url.rstrip("/")
        self.faults = Random(f"{self.config.seed}:faults")
        self._predictions: dict[str, Prediction] = {}
        self._submitted = 0
        self._couriers: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient = HttpxAiohttpClient(
            verify=bundled(),
            trust_env=False,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for courier in self._couriers:
            courier.cancel()
        await asyncio.gather(*self._couriers, return_exceptions=True)
        await self._client.aclose()

    def submit(self, model: str, inputs: dict[str, Any], webhook: str | None = None) -> Prediction:
        """Raises Rejected; otherwise the prediction runs, and its callbacks will be sent."""
        forced = _checked(model, inputs)
        number = self._submitted
        self._submitted += 1
        rng = Random(f"{self.config.seed}:{number}")
        scenario = draw(rng, self.config.mix) if forced is None else forced
        id_ = hashlib.sha256(f"{self.config.seed}:{number}".encode()).hexdigest()[:32]
        prediction = self._record(id_, model, inputs, scenario, rng.uniform(*self.config.delay))
        if webhook:
            prediction.webhook = webhook
            courier = asyncio.create_task(self._announce(prediction, webhook))
            self._couriers.add(courier)
            courier.add_done_callback(self._couriers.discard)
        return prediction

    def _record(
        self, id_: str, model: str, inputs: dict[str, Any], scenario: Scenario, delay: float
    ) -> Prediction:
        now = clock.now()
        end = ending(scenario, id_, model, self.base_url, str(inputs.get("output_format", "")))
        prediction = Prediction(id_, model, inputs, scenario, end, now, now + delay / 4, now + delay)
        self._predictions[id_] = prediction
        while len(self._predictions) > self.config.keep:
            del self._predictions[next(iter(self._predictions))]
        return prediction

    async def _announce(self, prediction: Prediction, webhook: str) -> None:
        await asyncio.sleep(prediction.ready - clock.now())
        body = wire.payload(prediction, prediction.ready, self.base_url)
        for letter in letters(prediction.scenario, prediction.id):
            async for sent in deliver(
                self._client,
                webhook,
                self.config.secrets,
                letter,
                body,
                retries=self.config.callback_retries,
                retry_base=self.config.callback_retry_base,
            ):
                prediction.sent.append(sent)

    def find(self, id_: str) -> Prediction | None:
        """Ids that `trigger` made are taken up when first asked for; deleted ones are gone."""
        prediction = self._predictions.get(id_)
        if prediction is None and (scenario := triggered_scenario(id_)):
            prediction = self._record(id_, IMAGE_MODEL, {}, scenario, 0.0)
        return None if prediction is None or prediction.deleted else prediction

    def listed(self) -> list[Prediction]:
        """Newest first."""
        return [prediction for prediction in reversed(self._predictions.values()) if not prediction.deleted]

    def delete(self, ids: list[str]) -> int:
        known = [prediction for prediction in map(self.find, ids) if prediction]
        for prediction in known:
            prediction.deleted = True
        return len(known)

    def fetched(self, prediction: Prediction, index: int) -> tuple[Cdn, bytes]:
        """What the CDN does with this download, which it counts, and the whole file (empty when gone)."""
        what = download(prediction.scenario, prediction.hits[index], self.config.flaky_times)
        prediction.hits[index] += 1
        if what in {Cdn.GONE, Cdn.MISSING, Cdn.BUSY}:
            return what, b""
        body = render(prediction.id, index, prediction.ending.files[index], self.config.media_bytes)
        prediction.sha256[index] = hashlib.sha256(body).hexdigest()
        return what, body

    @property
    def quiet(self) -> bool:
        """No callback is waiting or under way."""
        return not self._couriers

    def truth(self) -> dict[str, Any]:
        now = clock.now()
        everything = list(self._predictions.values())
        return {
            "seed": self.config.seed,
            "quiet": self.quiet,
            "totals": totals(everything, now),
            "predictions": [prediction.as_json(now) for prediction in everything],
        }


_REQUIRED = {IMAGE_MODEL: ("prompt", "image")}


def _checked(model: str, inputs: dict[str, Any]) -> Scenario | None:
    """The scenario that the caller chose, if any."""
    for name in _REQUIRED.get(model, ()):
        if not inputs.get(name):
            raise Rejected(1400, f"missing parameter: {name}")
    chosen = inputs.get("simulate")
    if chosen is None:
        return None
    if chosen not in list(Scenario):
        raise Rejected(1401, f"invalid parameter: simulate, one of {', '.join(Scenario)}")
    return Scenario(chosen)


def random_seed() -> int:
    """For a simulator whose ids should not repeat those of its last run against the same ledger."""
    return secrets.randbelow(2**31)
