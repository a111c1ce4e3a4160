"""Every shape the provider was seen to send becomes a report, and what is none an Unparseable."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import errors
from service.prediction import Nsfw, Reason, Report, Verdict
from service.wavespeed import parse, report, verify

PAYLOADS = Path(__file__).parent / "payloads"


def parsed(body: bytes) -> Report:
    mac = hmac.new(b"key", b"evt.1700000000." + body, hashlib.sha256).hexdigest().encode()
    headers = [
        (b"webhook-id", b"evt"),
        (b"webhook-timestamp", b"1700000000"),
        (b"webhook-signature", b"v3," + mac),
    ]
    return parse(verify(headers, body, ["key"], 1_700_000_000))


def refused(body: bytes) -> str:
    with pytest.raises(errors.Unparseable) as caught:
        parsed(body)
    return str(caught.value)


def captured(name: str) -> Report:
    return parsed((PAYLOADS / f"{name}.json").read_bytes())


def prediction(**fields: Any) -> dict[str, Any]:
    return {"id": "pred_123", "status": "completed", **fields}


# Payload, verdict, reason, and a letter for the class of each output.
EXPECTED: dict[str, tuple[Verdict, Reason | None, str]] = {
    "smallest": (Verdict.COMPLETED, None, ""),
    "completed": (Verdict.COMPLETED, None, "c"),
    "completed_in_envelope": (Verdict.COMPLETED, None, "c"),
    "completed_two_one_flagged": (Verdict.COMPLETED, None, "fc"),
    "completed_nsfw_null": (Verdict.COMPLETED, None, "u"),
    "completed_nsfw_empty": (Verdict.COMPLETED, None, "u"),
    "completed_nsfw_missing": (Verdict.COMPLETED, None, "u"),
    "completed_nsfw_bare_true": (Verdict.COMPLETED, None, "f"),
    "completed_nsfw_bare_false": (Verdict.COMPLETED, None, "u"),
    "completed_nsfw_short": (Verdict.COMPLETED, None, "uu"),
    "completed_nsfw_words": (Verdict.COMPLETED, None, "uu"),
    "completed_without_input": (Verdict.COMPLETED, None, "c"),
    "completed_without_extension": (Verdict.COMPLETED, None, "c"),
    "completed_with_unknown_fields": (Verdict.COMPLETED, None, "c"),
    "completed_inline_media": (Verdict.COMPLETED, None, "c"),
    "completed_outputs_empty": (Verdict.COMPLETED, None, ""),
    "completed_outputs_null": (Verdict.COMPLETED, None, ""),
    "completed_outputs_missing": (Verdict.COMPLETED, None, ""),
    "completed_outputs_bare_url": (Verdict.COMPLETED, None, "c"),
    "completed_outputs_bare_object": (Verdict.COMPLETED, None, "c"),
    "completed_outputs_objects": (Verdict.COMPLETED, None, "cc"),
    "completed_outputs_text": (Verdict.COMPLETED, None, "c"),
    "completed_outputs_classes": (Verdict.COMPLETED, None, "u"),
    "completed_outputs_base64": (Verdict.COMPLETED, None, "c"),
    "completed_created_at_2_digits": (Verdict.COMPLETED, None, "c"),
    "completed_created_at_9_digits": (Verdict.COMPLETED, None, "c"),
    "completed_created_at_unreadable": (Verdict.COMPLETED, None, "c"),
    "completed_odd_fields": (Verdict.COMPLETED, None, "u"),
    "failed": (Verdict.FAILED, Reason.PROVIDER_FAILED, ""),
    "failed_moderation": (Verdict.FAILED, Reason.MODERATION, ""),
    "failed_moderation_code_as_text": (Verdict.FAILED, Reason.MODERATION, ""),
    "failed_error_object": (Verdict.FAILED, Reason.PROVIDER_FAILED, ""),
    "failed_error_many_lines": (Verdict.FAILED, Reason.PROVIDER_FAILED, ""),
    "cancelled": (Verdict.FAILED, Reason.CANCELLED, ""),
    "timeout": (Verdict.FAILED, Reason.TIMEOUT, ""),
    "deleted": (Verdict.FAILED, Reason.DELETED, ""),
    "created": (Verdict.PENDING, None, ""),
    "processing": (Verdict.PENDING, None, ""),
    "processing_sync_timeout": (Verdict.PENDING, None, ""),
    "status_unknown": (Verdict.PENDING, None, ""),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_captured_payload_means_what_the_table_says(name: str) -> None:
    found = captured(name)
    assert (found.verdict, found.reason, "".join(nsfw[0] for nsfw in found.nsfw)) == EXPECTED[name]


def test_the_table_names_every_captured_payload() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_poll_answer_gives_the_same_report_as_the_callback(name: str) -> None:
    flat = json.loads((PAYLOADS / f"{name}.json").read_bytes())
    assert report(flat) == captured(name)
    assert report(flat if "data" in flat else {"code": 200, "message": "success", "data": flat}) == report(
        flat
    )


def test_a_completion_is_read_in_full() -> None:
    found = captured("completed")
    assert found == Report(
        id="5f0c1a9e7b3d4c2f8a6e1d0b9c8f7a6e",
        status="completed",
        verdict=Verdict.COMPLETED,
        model="wavespeed-ai/instant-character",
        created_at=found.created_at,
        outputs=("https://d2p7pge43lyniu.cloudfront.net/output/4f1c/1.jpeg",),
        nsfw=(Nsfw.CLEAN,),
        payload=json.loads((PAYLOADS / "completed.json").read_bytes()),
    )


@pytest.mark.parametrize(
    ("name", "created_at"),
    [
        ("completed", 1791191642.513),
        ("completed_created_at_2_digits", 1791191642.51),
        ("completed_created_at_9_digits", 1791191642.513),
        ("completed_created_at_unreadable", None),
        ("completed_odd_fields", None),
        ("smallest", None),
    ],
)
def test_created_at_is_a_hint_that_may_be_absent(name: str, created_at: float | None) -> None:
    assert captured(name).created_at == (None if created_at is None else pytest.approx(created_at))


def test_unknown_fields_are_kept() -> None:
    payload = captured("completed_with_unknown_fields").payload
    assert (payload["queue_position"], payload["billing"], payload["tags"]) == (0, {"usd": 0.03}, ["night"])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("failed", "Task failed: out of memory"),
        ("failed_error_object", '{"code": 1402, "message": "input media unreachable"}'),
        ("failed_error_many_lines", "Traceback: line 1 line 2 end"),
        ("completed", ""),
        ("completed_odd_fields", ""),
    ],
)
def test_an_error_is_one_printable_line(name: str, error: str) -> None:
    assert captured(name).error == error


@given(
    st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.integers()) | st.integers() | st.none()
)
def test_no_error_is_longer_than_500_characters_or_more_than_a_line(error: object) -> None:
    text = report(prediction(error=error)).error
    assert len(text) <= 500
    assert text.isprintable()


def test_a_long_error_is_cut() -> None:
    assert report(prediction(error="x" * 10_000)).error == "x" * 500


@pytest.mark.parametrize(
    ("status", "code", "verdict", "reason"),
    [
        ("Completed", None, Verdict.COMPLETED, None),
        ("FAILED", 1200, Verdict.FAILED, Reason.MODERATION),
        ("failed", [1200], Verdict.FAILED, Reason.PROVIDER_FAILED),
        ("failed", {}, Verdict.FAILED, Reason.PROVIDER_FAILED),
        ("failed", None, Verdict.FAILED, Reason.PROVIDER_FAILED),
        ("canceled", 1200, Verdict.FAILED, Reason.CANCELLED),
        ("completed", 1200, Verdict.COMPLETED, None),
        ("", None, Verdict.PENDING, None),
        (" completed", None, Verdict.PENDING, None),
        ("succeeded", None, Verdict.PENDING, None),
    ],
)
def test_a_status_is_kept_as_sent_and_an_unknown_one_is_no_end(
    status: str, code: object, verdict: Verdict, reason: Reason | None
) -> None:
    found = report(prediction(status=status, code=code))
    assert (found.status, found.verdict, found.reason) == (status, verdict, reason)


def test_the_code_of_the_envelope_is_not_the_predictions() -> None:
    found = report({"code": 1200, "message": "", "data": prediction(status="failed", code=1403)})
    assert found.reason is Reason.PROVIDER_FAILED


def test_a_field_called_data_does_not_make_a_flat_prediction_an_envelope() -> None:
    assert report(prediction(data={"id": "another", "status": "failed"})).id == "pred_123"


@pytest.mark.parametrize(
    "id_", ["", "a" * 129, "a/b", "..", "a.b", "a b", "pred_123\n", "é", "a:b", 7, None, ["a"]]
)
def test_an_id_of_another_shape_is_refused(id_: object) -> None:
    assert refused(json.dumps(prediction(id=id_)).encode()).startswith("id ")


@pytest.mark.parametrize("status", [None, 1, True, ["completed"], {}])
def test_a_status_that_is_no_string_is_refused(status: object) -> None:
    assert refused(json.dumps(prediction(status=status)).encode()) == "status is not a string"


@pytest.mark.parametrize("outputs", [0, 1.5, True, False])
def test_outputs_of_another_type_are_refused(outputs: object) -> None:
    assert refused(json.dumps(prediction(outputs=outputs)).encode()) == "outputs is not a list"


@pytest.mark.parametrize("data", [None, [], "text", 7, [prediction()], {"code": 200, "data": [prediction()]}])
def test_what_is_no_prediction_is_refused(data: object) -> None:
    refused(json.dumps(data).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
LENIENT = [
    "model",
    "input",
    "urls",
    "has_nsfw_contents",
    "created_at",
    "error",
    "executionTime",
    "timings",
    "code",
]


@given(st.dictionaries(st.sampled_from(LENIENT) | st.text(max_size=6), json_values))
def test_any_other_field_may_be_anything(fields: dict[str, Any]) -> None:
    fields = {k: v for k, v in fields.items() if k not in ("id", "status", "outputs", "data")}
    if "Infinity" not in (body := json.dumps(prediction(outputs=["x"], **fields))):
        assert len(parsed(body.encode()).nsfw) == 1


def digest(text: str) -> str:
    return f"<omitted {len(text.encode())} bytes sha256:{hashlib.sha256(text.encode()).hexdigest()}>"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("data:image/png;base64,AAAA", digest("data:image/png;base64,AAAA")),
        ("DATA:,x", digest("DATA:,x")),
        ("é" * 4097, digest("é" * 4097)),
        ("x" * 4096, "x" * 4096),
        ("metadata: none", "metadata: none"),
        ({"images": [{"url": "data:,x"}, 1, None]}, {"images": [{"url": digest("data:,x")}, 1, None]}),
        (None, None),
    ],
)
def test_inline_media_of_the_input_are_left_out(sent: object, kept: object) -> None:
    assert report(prediction(input=sent)).payload["input"] == kept


def test_leaving_media_out_changes_neither_the_rest_nor_the_callers_object() -> None:
    sent = prediction(input={"image": "data:,x"}, outputs=["data:,y"], note="z" * 5000)
    before = json.loads(json.dumps(sent))
    assert report(sent).payload == {**sent, "input": {"image": digest("data:,x")}}
    assert sent == before
    assert "input" not in report(prediction()).payload


@given(st.binary(max_size=60))
def test_any_bytes_are_a_report_or_unparseable(noise: bytes) -> None:
    for body in (noise, b'{"id":"a","status":"failed","outputs":' + noise + b"}"):
        with suppress(errors.Unparseable):
            assert isinstance(parsed(body), Report)


@given(json_values)
def test_any_json_is_a_report_or_unparseable(value: object) -> None:
    with suppress(errors.Unparseable):
        assert isinstance(parsed(json.dumps(value).encode()), Report)
