"""The API as its own document describes it, asked by schemathesis: what fits, and what nearly does.

Its plug-in for pytest stays off: it would cost every start of pytest a second.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest

from service import events, runs, wavespeed
from service.ledger import Commit, Ledger
from service.ledger.runs import Kind, Order
from service.prediction import Disposition, Ref, Stage
from service.simulator.run import running
from service.web import attempts
from service.web.openapi import document
from tests.builders import LEASE, NOON, RETENTION, hook, output
from tests.faults.backstage import Backstage
from tests.serving import PATH, callback, serving, sign
from tests.strangers import contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import schemathesis
    from schemathesis import BaseSchema

    from tests.faults.chance import Chance

    About = Callable[..., "Questions"]
    Case = schemathesis.Case[Any]

TOKEN = "the-admin-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
VIEWER_TOKEN = "the-token-that-may-only-read"
NO_CREDENTIALS = ("", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer x {TOKEN}", f"Basic {TOKEN}", TOKEN)
DESCRIBED: dict[str, Any] = document()["paths"]
OPERATIONS = [(path, method) for path, item in DESCRIBED.items() for method in item]
GUARDED = [(path, method) for path, method in OPERATIONS if "security" not in DESCRIBED[path][method]]
EVERY_DAY, LONG = 5, 200
"""Examples, for each operation, of what fits; and as many of what does not."""
TOO_LARGE = 413
WITHIN = 10.0
"""Seconds for an answer."""


@dataclass
class Api:
    url: str
    redis_url: str
    known: dict[str, dict[str, Any]]
    """By the word of a path: what leads there to something that there is."""

    def of(self, path: str) -> dict[str, Any]:
        return self.known[path.split("/")[3]] if "{id}" in path else {}


@pytest.fixture(scope="module")
def api(redis_server: str) -> Iterator[Api]:
    """The real server with a token and a simulated provider; it knows a prediction that has ended.

    It looks at every token, however many were wrong: here each request is to be judged by itself.
    """
    with pytest.MonkeyPatch.context() as patches, Backstage() as backstage:
        patches.setattr(attempts, "FREE", 1_000_000)
        patches.setattr(attempts, "OVERALL_MOST", 1_000_000)
        provider, _ = backstage.enter(running())
        served = backstage.enter(
            serving(
                redis_server,
                admin_token=TOKEN,
                viewer_token=VIEWER_TOKEN,
                provider_url=f"{provider}/api/v3",
                wavespeed_api_key="simulated",
                public_url="http://127.0.0.1:9",
            )
        )
        assert backstage.run(served.call_back(callback("pred_1"))).status_code == 200
        yield Api(served.url, redis_server, backstage.run(_ended(redis_server, "pred_1")))


async def _ended(redis_url: str, id_: str) -> dict[str, dict[str, Any]]:
    ledger, ref = Ledger(redis_url, RETENTION), Ref(wavespeed.SOURCE, id_)
    record = await ledger.predictions.lease(ref, LEASE, "w1")
    assert record is not None
    outputs = [output(), output(1, Disposition.HELD)]
    ended = record.public() | {"stage": Stage.DONE, "outputs": outputs}
    told = events.of_prediction(ref, record.generation, ended, [hook()], NOON)
    commit = Commit(Stage.DONE, outputs=outputs, events=told)
    assert await ledger.predictions.commit(ref, Stage.WORKING, record.token, commit)
    delivery, *_ = await ledger.reading.deliveries_of(ref)
    run = await runs.plan(ledger, Order(Kind.REPLAY, f"id:{ref.id}"))
    await ledger.aclose()
    return {
        "runs": {"id": run.id},
        "predictions": {"id": ref.id},
        "deliveries": {"id": delivery},
        "review": {"id": ref.id, "index": 1},
    }


@pytest.fixture(scope="module")
def schema() -> BaseSchema:
    import schemathesis

    return schemathesis.openapi.from_dict(document())


class Questions:
    """Those about one operation; `fixed` are parts of its path that are not left to chance."""

    def __init__(self, schema: BaseSchema, path: str, method: str, seed: int, examples: int) -> None:
        self._schema = schema
        self._operation = schema[path][method.upper()]
        self._described = DESCRIBED[path][method]
        self._seed = seed
        self._examples = examples

    def edges(self, ask: Callable[[Case], None]) -> None:
        """The edges of every rule in the document, and the methods that it does not have."""
        from schemathesis import GenerationMode

        generation = self._schema.config.generation
        for case in self._schema.iter_coverage_cases(
            self._operation, generation_modes=list(GenerationMode), generation_config=generation
        ):
            ask(case)

    def at_random(self, ask: Callable[[Case], None], *, fitting: bool, **fixed: Any) -> None:
        from schemathesis import GenerationMode

        if not fitting and not (self._described["parameters"] or "requestBody" in self._described):
            return
        mode = GenerationMode.POSITIVE if fitting else GenerationMode.NEGATIVE
        cases = self._operation.as_strategy(generation_mode=mode, path_parameters=fixed or None)
        asking = hypothesis.given(case=cases)(ask)
        limits = hypothesis.settings(
            max_examples=self._examples,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.seed(self._seed)(limits(asking))()


def described() -> list[Any]:
    """That an answer is one of those in the document, of its type and shape, and none a fault of ours."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    return [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
        checks.allow_header_conformance,
    ]


def strict(status: int) -> list[Any]:
    """Also that what does not fit is refused; that all that fits is taken is not said of it."""
    from schemathesis.specs.openapi.checks import negative_data_rejection

    # To the library a body that is too large has not been refused.
    return described() if status == TOO_LARGE else [*described(), negative_data_rejection]


@pytest.fixture
def about(schema: BaseSchema, chance: Chance, long: bool) -> About:
    def questions(path: str, method: str, times: int = 1) -> Questions:
        return Questions(schema, path, method, chance.number(), times * (LONG if long else EVERY_DAY))

    return questions


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_asked_is_answered_as_the_document_says(
    api: Api, about: About, path: str, method: str
) -> None:
    def ask(case: Case) -> None:
        answer = case.call(base_url=api.url, headers=BEARER, timeout=WITHIN)
        assert answer.status_code < 500, answer.content
        case.validate_response(answer, strict(answer.status_code))

    questions = about(path, method)
    questions.edges(ask)
    for fitting in (True, False):
        questions.at_random(ask, fitting=fitting)
    if known := api.of(path):
        questions.at_random(ask, fitting=True, **known)


@pytest.mark.parametrize(("path", "method"), GUARDED)
def test_nobody_without_the_token_is_let_in_whatever_he_asks(
    api: Api, about: About, path: str, method: str
) -> None:
    before = contents(api.redis_url)
    credentials = itertools.cycle(NO_CREDENTIALS)

    def ask(case: Case) -> None:
        given = next(credentials)
        answer = case.call(base_url=api.url, headers={"Authorization": given}, timeout=WITHIN)
        assert answer.status_code == 401, (given, answer.content)

    questions = about(path, method)
    for fixed in ({}, api.of(path)):
        questions.at_random(ask, fitting=True, **fixed)
    assert contents(api.redis_url) == before


@pytest.mark.parametrize("path", [path for path, method in GUARDED if method == "post"])
def test_whoever_may_only_read_changes_nothing_whatever_he_asks(api: Api, about: About, path: str) -> None:
    before = contents(api.redis_url)

    def ask(case: Case) -> None:
        headers = {"Authorization": f"Bearer {VIEWER_TOKEN}"}
        answer = case.call(base_url=api.url, headers=headers, timeout=WITHIN)
        assert answer.status_code == 403, answer.content

    questions = about(path, "post")
    for fixed in ({}, api.of(path)):
        questions.at_random(ask, fitting=True, **fixed)
    assert contents(api.redis_url) == before


def test_a_signed_callback_of_any_shape_is_answered_as_the_document_says(api: Api, about: About) -> None:
    answered = set()

    def ask(case: Case) -> None:
        unsigned = case.call(base_url=api.url, timeout=WITHIN)
        assert unsigned.status_code == 401, unsigned.content
        body = unsigned.request.body or b""
        assert isinstance(body, bytes)
        answer = httpx.post(f"{api.url}{PATH}", content=body, headers=sign(body), timeout=WITHIN)
        assert answer.status_code in (200, 400), answer.content
        case.validate_response(answer, described())
        answered.add(answer.status_code)

    questions = about("/webhooks/{source}", "post", times=4)
    for fitting in (True, False):
        questions.at_random(ask, fitting=fitting, source=wavespeed.SOURCE)
    assert answered == {200, 400}
