"""The simulated provider's API: submits, results, lists, refusals, and the truth it tells afterwards."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service import clock
from service.simulator.run import running, serve
from service.simulator.scenario import DEMO_MIX, Scenario
from service.simulator.simulator import Simulator, SimulatorConfig
from tests.described import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CHARACTER = "wavespeed-ai/instant-character"
INPUTS = {"prompt": "a fox", "image": "https://example.com/fox.png", "size": "512*512", "seed": 7}
AT_ONCE = SimulatorConfig(delay=(0, 0))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def provider(config: SimulatorConfig = AT_ONCE) -> AsyncIterator[tuple[httpx.AsyncClient, Simulator]]:
    async with (
        running(config) as (base_url, sim),
        httpx.AsyncClient(
            base_url=f"{base_url}/api/v3",
            headers={"authorization": "Bearer key"},
            verify=NO_TLS,
            trust_env=False,
        ) as client,
    ):
        yield client, sim


async def submit(
    client: httpx.AsyncClient, scenario: str, model: str = CHARACTER, **inputs: Any
) -> dict[str, Any]:
    answer = await client.post(f"/{model}", json=INPUTS | {"simulate": scenario} | inputs)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def result(client: httpx.AsyncClient, id_: str) -> dict[str, Any]:
    answer = (await client.get(f"/predictions/{id_}/result")).json()
    assert (answer["code"], answer["message"]) == (200, "success")
    data: dict[str, Any] = answer["data"]
    return data


async def listed(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.post("/predictions", json={"page": 1, "page_size": 100} | query)
    items: list[dict[str, Any]] = answer.json()["data"]["items"]
    return items


async def test_a_submit_answers_a_created_prediction_in_the_envelope() -> None:
    async with provider(SimulatorConfig(delay=(60, 60))) as (client, _):
        data = await submit(client, "clean")
    assert (data["status"], data["outputs"], data["has_nsfw_contents"]) == ("created", [], [])
    assert len(data["id"]) == 32
    assert data["urls"]["get"].endswith(f"/api/v3/predictions/{data['id']}/result")
    assert clock.parse_rfc3339(data["created_at"]) == pytest.approx(clock.now(), abs=60)


async def test_a_prediction_passes_through_processing() -> None:
    async with provider(SimulatorConfig(delay=(60, 60))) as (client, sim):
        id_ = (await submit(client, "clean"))["id"]
        prediction = sim.find(id_)
        assert prediction
        moments = (prediction.created, prediction.started, prediction.ready)
        assert [prediction.status(at) for at in moments] == ["created", "processing", "completed"]


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("clean", {"status": "completed", "has_nsfw_contents": [False]}),
        ("unknown", {"status": "completed", "has_nsfw_contents": None}),
        ("empty_flags", {"status": "completed", "has_nsfw_contents": []}),
        ("empty", {"status": "completed", "outputs": []}),
        ("failed", {"status": "failed", "code": 1403, "outputs": []}),
        ("moderation", {"status": "failed", "code": 1200, "outputs": []}),
        ("cancelled", {"status": "cancelled", "outputs": [], "error": None}),
    ],
)
async def test_each_ending_shows_in_the_result(scenario: str, expected: dict[str, Any]) -> None:
    async with provider() as (client, _):
        data = await result(client, (await submit(client, scenario))["id"])
    assert {name: data.get(name) for name in expected} == expected


async def test_flags_of_a_flagged_prediction_match_its_outputs() -> None:
    async with provider() as (client, _):
        data = [await result(client, (await submit(client, "flagged"))["id"]) for _ in range(8)]
    assert all(one["has_nsfw_contents"][0] is True for one in data)
    assert {len(one["outputs"]) for one in data} == {len(one["has_nsfw_contents"]) for one in data} == {1, 2}


async def test_multi_has_two_to_four_outputs() -> None:
    async with provider() as (client, _):
        counts = {
            len((await result(client, (await submit(client, "multi"))["id"]))["outputs"]) for _ in range(20)
        }
    assert counts == {2, 3, 4}


async def test_object_outputs_hold_a_url_and_a_classifiers_do_not() -> None:
    async with provider() as (client, _):
        (wrapped,) = (await result(client, (await submit(client, "object"))["id"]))["outputs"]
        labels = (await result(client, (await submit(client, "classifier"))["id"]))["outputs"]
    assert wrapped["url"].startswith("http://127.0.0.1")
    assert labels
    assert all("url" not in label for label in labels)


async def test_a_language_model_answers_text_in_any_scenario() -> None:
    async with provider() as (client, _):
        asked = [await submit(client, "text"), await submit(client, "clean", "wavespeed-ai/any-llm")]
        texts = [(await result(client, one["id"]))["outputs"] for one in asked]
    assert all(" " in text and "://" not in text for (text,) in texts)


async def test_a_video_model_makes_mp4_and_output_format_is_honoured() -> None:
    async with provider() as (client, sim):
        await submit(client, "clean", "wavespeed-ai/wan-2.1/t2v-480p")
        await submit(client, "clean", output_format="webp")
        assert [prediction.ending.files for prediction in sim.listed()] == [("webp",), ("mp4",)]


async def test_one_seed_makes_the_same_predictions() -> None:
    async def run(seed: int) -> list[tuple[str, str]]:
        async with provider(SimulatorConfig(seed=seed, delay=(0, 0))) as (client, sim):
            for _ in range(30):
                await client.post(f"/{CHARACTER}", json=INPUTS)
            return [(prediction.id, prediction.scenario) for prediction in sim.listed()]

    first = await run(5)
    assert first == await run(5)
    assert first != await run(6)
    assert len({scenario for _, scenario in first}) > 5


async def test_the_mix_decides_what_is_drawn() -> None:
    async with provider(SimulatorConfig(delay=(0, 0), mix={Scenario.EMPTY: 1})) as (client, sim):
        await client.post(f"/{CHARACTER}", json=INPUTS)
        assert [prediction.scenario for prediction in sim.listed()] == [Scenario.EMPTY]


def test_every_scenario_is_described_and_in_the_demo() -> None:
    assert set(DEMO_MIX) == set(Scenario)
    assert all(scenario.description.endswith(".") for scenario in Scenario)
    assert str(Scenario.OUT_OF_ORDER) == "out_of_order"


async def test_a_callback_with_base64_output_is_refused_without_the_envelope() -> None:
    async with provider() as (client, sim):
        body = INPUTS | {"enable_base64_output": True}
        answer = await client.post(f"/{CHARACTER}", params={"webhook": "http://127.0.0.1:9/x"}, json=body)
        assert answer.status_code == 400
        assert set(answer.json()) == {"error"}
        assert (await client.post(f"/{CHARACTER}", json=body)).status_code == 200
        assert len(sim.listed()) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"prompt": "no image"}, 1400),
        ({"image": "no prompt"}, 1400),
        (INPUTS | {"simulate": "nonsense"}, 1401),
        (INPUTS | {"simulate": 1}, 1401),
        ([], 400),
    ],
)
async def test_bad_inputs_are_refused_with_the_providers_code(body: Any, code: int) -> None:
    async with provider() as (client, sim):
        answer = await client.post(f"/{CHARACTER}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert sim.listed() == []


@pytest.mark.parametrize(
    ("configured", "header", "status"),
    [
        ("", "Bearer anything", 200),
        ("", "Bearer", 401),
        ("", "Basic anything", 401),
        ("right", "Bearer right", 200),
        ("right", "Bearer wrong", 401),
    ],
)
async def test_every_call_wants_a_bearer_key(configured: str, header: str, status: int) -> None:
    async with provider(SimulatorConfig(api_key=configured)) as (client, _):
        for path in ("/balance", "/webhook/secret"):
            assert (await client.get(path, headers={"authorization": header})).status_code == status


async def test_secret_and_balance_are_told() -> None:
    async with provider(SimulatorConfig(secrets=("whsec_one", "whsec_two"))) as (client, _):
        assert (await client.get("/webhook/secret")).json()["data"] == {"secret": "whsec_one"}
        assert (await client.get("/balance")).json()["data"]["balance"] > 0


async def test_lists_are_newest_first_in_pages_without_flags() -> None:
    async with provider() as (client, _):
        ids = [(await submit(client, "clean"))["id"] for _ in range(5)]
        pages = [await listed(client, page=page, page_size=2) for page in (1, 2, 3, 4)]
    assert [item["id"] for page in pages for item in page] == ids[::-1]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert all("has_nsfw_contents" not in item and item["outputs"] for page in pages for item in page)


async def test_lists_filter_by_model_status_and_time() -> None:
    async with provider() as (client, _):
        await submit(client, "failed")
        await submit(client, "clean", "wavespeed-ai/flux-dev")
        assert [item["status"] for item in await listed(client, status="failed")] == ["failed"]
        assert [item["model"] for item in await listed(client, model="wavespeed-ai/flux-dev")] == [
            "wavespeed-ai/flux-dev"
        ]
        soon = clock.rfc3339(clock.now() + 60)
        assert await listed(client, created_after=soon) == []
        assert len(await listed(client, created_before=soon)) == 2


@pytest.mark.parametrize("query", [{"page_size": 101}, {"page": 0}, {"page": "1"}, {"page_size": True}])
async def test_a_page_out_of_bounds_is_refused(query: dict[str, Any]) -> None:
    async with provider() as (client, _):
        assert (await client.post("/predictions", json=query)).status_code == 400


async def test_deleted_predictions_are_gone_everywhere() -> None:
    async with provider() as (client, _):
        id_ = (await submit(client, "clean"))["id"]
        (url,) = (await result(client, id_))["outputs"]
        answer = await client.post("/predictions/delete", json={"ids": [id_, "other"]})
        assert answer.json()["data"] == {"deleted_count": 1}
        assert (await client.get(f"/predictions/{id_}/result")).json()["code"] == 404
        assert (await client.get(url)).status_code == 404
        assert await listed(client) == []


async def test_results_fail_as_often_as_asked_and_in_every_shape() -> None:
    async with provider(SimulatorConfig(delay=(0, 0), fault_rate=1)) as (client, _):
        id_ = (await submit(client, "clean"))["id"]
        answers = [await client.get(f"/predictions/{id_}/result") for _ in range(40)]
    assert {answer.status_code for answer in answers} == {200, 429, 500, 502, 503}
    assert all(answer.json()["code"] == 500 for answer in answers if answer.status_code == 200)
    assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 429} == {
        None,
        "1",
    }


async def test_only_so_many_predictions_are_remembered() -> None:
    async with provider(SimulatorConfig(delay=(0, 0), keep=3)) as (client, _):
        ids = [(await submit(client, "clean"))["id"] for _ in range(5)]
        assert [item["id"] for item in await listed(client)] == ids[:1:-1]


async def test_the_truth_tells_scenarios_expected_stages_and_totals() -> None:
    async with provider() as (client, sim):
        for scenario in ("clean", "failed", "expired"):
            await submit(client, scenario)
        truth = (await client.get(f"{sim.base_url}/truth")).json()
    assert [(one["scenario"], one["expected_stage"]) for one in truth["predictions"]] == [
        ("clean", "done"),
        ("failed", "failed"),
        ("expired", "expired"),
    ]
    assert (truth["totals"]["predictions"], truth["totals"]["unannounced"]) == (3, 3)


async def test_a_public_url_stands_in_front_of_everything() -> None:
    async with provider(SimulatorConfig(delay=(0, 0), public_url="http://sim.example/")) as (client, _):
        data = await result(client, (await submit(client, "clean"))["id"])
    assert data["outputs"][0].startswith("http://sim.example/cdn/")
    assert data["urls"]["get"].startswith("http://sim.example/api/v3/")


async def test_serving_ends_by_cancelling_and_frees_the_port() -> None:
    import asyncio

    ready: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(serve(SimulatorConfig(), "127.0.0.1", 0, lambda url, _: ready.put_nowait(url)))
    port = httpx.URL(await ready.get()).port
    assert port
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with running(port=port) as (base_url, _):
        assert base_url.endswith(f":{port}")
    assert [other for other in asyncio.all_tasks() if "simulator" in str(other.get_coro())] == []
