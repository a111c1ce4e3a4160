"""What an operator asks for: submit a prediction, track one of somebody else's, replay one that ended.

Shared by the API and the command line, so that both do the same and neither knows how.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from service import clock, failpoints, runs, wavespeed
from service.errors import CatchlightError, Conflict, InvalidInput, LedgerDown, NotFound, SubmitUnknown
from service.given import check_id, check_key, check_metadata
from service.late_log import LateLog
from service.ledger import Arrival
from service.ledger.intents import Intent
from service.ledger.runs import NO_TURN
from service.prediction import TERMINAL, Ref, Step, Via
from service.tracing import telling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.intake import Intake
    from service.ledger import Ledger
    from service.settings import Settings

log = LateLog("operator")

DEFAULT_SOURCE = wavespeed.SOURCE
_WRITE_TRIES = 10


@dataclass(frozen=True, slots=True)
class Submission:
    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    source: str = DEFAULT_SOURCE

    def digest(self) -> str:
        # The default source is left out, as by versions that knew no other.
        elsewhere = [] if self.source == DEFAULT_SOURCE else [self.source]
        said = json.dumps([self.model, self.input, self.metadata, *elsewhere], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()


class Operator:
    def __init__(
        self, settings: Settings, ledger: Ledger, intake: Intake, clients: Mapping[str, wavespeed.Client]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._intake = intake
        self._clients = clients
        self._has_warned = False

    async def submit(self, submission: Submission, key: str | None = None) -> Ref:
        """Submit with our callback URL; the id is durable on return.

        The same key and body give the same answer. Raises InvalidInput, Conflict, ProviderRefused,
        ProviderDown and LedgerDown, all when certainly nothing was submitted; and SubmitUnknown when perhaps
        it was: then it is never repeated, and reconciling will tell.
        """
        wavespeed.validate(submission.model, submission.input)
        check_metadata(submission.metadata)
        self._client_of(submission.source)
        if key is not None:
            check_key(key)
        intent = Intent(
            key=key or uuid.uuid4().hex,
            digest=submission.digest(),
            model=submission.model,
            at=clock.now(),
            metadata=submission.metadata,
            source=submission.source,
        )
        await failpoints.reach("submit.before_intent")
        if earlier := await self._ledger.intents.begin(intent):
            return self._again(earlier, intent)
        began = clock.now()
        ref = Ref(submission.source, await self._post(submission, intent))
        await failpoints.reach("submit.after_post")
        with telling.beginning("submit", ref, began, "client") as span:
            span.say("catchlight.model", submission.model)
            await self._write_down(ref, submission, intent)
        await failpoints.reach("submit.after_write")
        return ref

    @staticmethod
    def _again(earlier: Intent, intent: Intent) -> Ref:
        if earlier.digest != intent.digest:
            raise Conflict("this Idempotency-Key was used with another body")
        if earlier.id is None:
            raise SubmitUnknown(
                "a submission with this key is under way or its outcome is unknown; it is not repeated"
            )
        return Ref(intent.source, earlier.id)

    async def _post(self, submission: Submission, intent: Intent) -> str:
        webhook = self._settings.callback_url(submission.source)
        if webhook is None and not self._has_warned:
            self._has_warned = True
            log.warning(
                "submit.without_callback", fix="set CATCHLIGHT_PUBLIC_URL; until then it is polled for"
            )
        try:
            report = await self._client_of(submission.source).submit(
                submission.model, submission.input, webhook
            )
        except SubmitUnknown:
            raise
        except CatchlightError:
            # It certainly was not submitted: the same key may try again.
            await self._forget(intent)
            raise
        return report.id

    def _client_of(self, source: str) -> wavespeed.Client:
        """Raises InvalidInput for a source that is not declared, is of another shard, or cannot be asked."""
        name = self._settings.account_at_home(source).name
        if name not in self._clients:
            raise InvalidInput("source", f"{name} has no key, and without it nothing is submitted")
        return self._clients[name]

    async def _forget(self, intent: Intent) -> None:
        try:
            await self._ledger.intents.forget(intent.key)
        except LedgerDown as error:
            log.warning("intent.not_forgotten", model=intent.model, error=str(error))

    async def _write_down(self, ref: Ref, submission: Submission, intent: Intent) -> None:
        arrival = Arrival(
            ref,
            Via.SUBMIT,
            Step.SUBMITTED,
            due_in=self._settings.poll_after,
            model=submission.model,
            metadata=submission.metadata,
        )
        for _ in range(_WRITE_TRIES):
            try:
                await self._intake.accept(arrival)
                await self._ledger.intents.became(intent, ref.id)
            except LedgerDown as error:
                log.warning("submit.waiting_for_redis", prediction=str(ref), error=str(error))
                await asyncio.sleep(0.5)
            else:
                log.info("submitted", prediction=str(ref), model=submission.model)
                return
        raise SubmitUnknown(
            f"the provider took it as {ref.id}, but Redis cannot write that down; reconciling will find it"
        )

    @property
    def sources(self) -> Sequence[str]:
        return self._settings.source_names

    async def track(
        self,
        id_: str,
        model: str = "",
        metadata: Mapping[str, Any] | None = None,
        source: str | None = None,
    ) -> Ref:
        """Adopt an id; what is known already stays as it is, but takes the metadata.

        Raises InvalidInput for what can be no id, no metadata, or is no source of ours.
        """
        check_metadata(metadata or {})
        ref = Ref(self._settings.account_at_home(source).name, check_id(id_))
        await self._intake.accept(
            Arrival(
                ref,
                Via.TRACK,
                Step.TRACKED,
                due_in=self._settings.poll_after,
                model=model,
                metadata=metadata,
            )
        )
        log.info("tracked", prediction=str(ref))
        return ref

    async def replay(
        self, id_: str, source: str | None, step: Literal["fetch", "deliver"], *, new_id: bool = False
    ) -> Ref:
        """Again from a step. Raises NotFound, and Conflict for one that has not ended: it is under way.

        Its events keep their ids, unless `new_id` makes it a new occasion.
        """
        ref = await self._ledger.reading.find(check_id(id_), source, self.sources)
        record = await self._ledger.reading.record(ref)
        if record is None:
            raise NotFound(f"no prediction {id_}")
        if record.stage not in TERMINAL:
            raise Conflict(f"{id_} is {record.stage}: only a prediction that has ended can be replayed")
        await runs.replay(self._ledger, ref, step, new_id=new_id, occasion=uuid.uuid4().hex, turn=NO_TURN)
        return ref
