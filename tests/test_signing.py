"""What we send must verify with the package that receivers use."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from service import errors
from service.signing import event_id, sign

SECRET = "whsec_" + base64.b64encode(b"first secret of the hook, 32 byt").decode()
NEXT = "whsec_" + base64.b64encode(b"its successor while they rotate!").decode()
BODY = '{"type":"prediction.completed","data":{"prompt":"ein Ritter, 騎士"}}'.encode()


def test_a_receiver_accepts_what_we_sign() -> None:
    headers = sign([SECRET], "evt_1", int(time.time()), BODY)
    assert Webhook(SECRET).verify(BODY, headers) == json.loads(BODY)


@pytest.mark.parametrize("known", [SECRET, NEXT])
def test_while_secrets_rotate_a_receiver_with_either_accepts(known: str) -> None:
    headers = sign([SECRET, NEXT], "evt_1", int(time.time()), BODY)
    assert headers["webhook-signature"].count("v1,") == 2
    Webhook(known).verify(BODY, headers)


def test_a_receiver_with_another_secret_refuses() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(NEXT).verify(BODY, sign([SECRET], "evt_1", int(time.time()), BODY))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
def test_the_zone_of_the_machine_does_not_enter_the_signature(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert sign([SECRET], "evt_1", 1_700_000_000, b"{}") == {
            "webhook-id": "evt_1",
            "webhook-timestamp": "1700000000",
            "webhook-signature": "v1,tGJpi4+jph1VNpjlXjXVXeJ+MVpHTGgMe8UutCOFJRI=",
        }
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", "whsec_ÄÖÜ", "whsec_abcde"])
def test_a_secret_that_is_not_base64_is_a_wrong_setting_and_is_not_quoted(secret: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        sign([secret], "evt_1", 1_700_000_000, b"{}")
    assert secret in {"", "whsec_"} or secret not in str(caught.value)
    assert caught.value.__suppress_context__


def test_nothing_goes_out_unsigned() -> None:
    with pytest.raises(errors.ConfigError):
        sign([], "evt_1", 1_700_000_000, b"{}")


def test_an_event_has_the_same_id_in_every_process() -> None:
    assert event_id("wavespeed", "pred_1", "output.held", "0") == "evt_6ad416daa77d179f36be44805c9a8aa4"


parts = st.tuples(*[st.text(alphabet='ab\x00,.:"\\ ü', max_size=4)] * 4)


@given(parts, parts)
def test_different_parts_make_different_ids(a: tuple[str, ...], b: tuple[str, ...]) -> None:
    assert (event_id(*a) == event_id(*b)) is (a == b)


@given(parts)
def test_an_id_is_evt_and_32_hex_digits(a: tuple[str, ...]) -> None:
    prefix, digits = event_id(*a).split("_")
    assert prefix == "evt"
    assert len(digits) == 32
    assert int(digits, 16) >= 0
