"""Nothing is believed that the provider did not sign, byte for byte; and a wrong clock is not a forgery."""

from __future__ import annotations

import hashlib
import hmac
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import errors
from service.wavespeed import Verified, claimed_id, verify

SECRET = "whsec_secret-value"
NOW = 1_700_000_000
BODY = b'{"id":"pred_123","status":"completed"}'
VECTOR = b"8ae8a3af37c66d113524b329f4b951d736eb51f32e23c56a5c5d49c4b4adee1c"
OTHER = b"0" * 64

Headers = list[tuple[bytes, bytes]]


def headers(
    signature: bytes = b"v3," + VECTOR, webhook_id: bytes = b"pred_123", timestamp: bytes = b"1700000000"
) -> Headers:
    return [
        (b"host", b"127.0.0.1"),
        (b"webhook-id", webhook_id),
        (b"webhook-timestamp", timestamp),
        (b"webhook-signature", signature),
    ]


def signed(webhook_id: bytes = b"pred_123", timestamp: bytes = b"1700000000", body: bytes = BODY) -> Headers:
    mac = hmac.new(b"secret-value", webhook_id + b"." + timestamp + b"." + body, hashlib.sha256)
    return headers(b"v3," + mac.hexdigest().encode(), webhook_id, timestamp)


def holds(sent: Headers, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,)) -> bool:
    try:
        verify(sent, body, secrets, NOW)
    except errors.Unverified:
        return False
    return True


def test_the_documented_vector_verifies() -> None:
    found = verify(headers(), BODY, [SECRET], NOW)
    assert (found.webhook_id, found.timestamp, found.body, found.stale) == ("pred_123", NOW, BODY, False)


def test_every_flipped_bit_of_the_message_is_noticed() -> None:
    message = [b"pred_123", b"1700000000", b"v3," + VECTOR, BODY]
    for part, original in enumerate(message):
        for bit in range(8 * len(original)):
            flipped = bytearray(original)
            flipped[bit // 8] ^= 1 << bit % 8
            webhook_id, timestamp, signature, body = (
                bytes(flipped) if part == i else same for i, same in enumerate(message)
            )
            assert not holds(headers(signature, webhook_id, timestamp), body), (part, bit)


def test_the_body_is_taken_as_received_not_as_json() -> None:
    """The same JSON with one more space is another message; what is no text at all can still be genuine."""
    assert not holds(headers(), BODY.replace(b":", b": ", 1))
    assert holds(signed(body=b"\xff\x00 not json"), b"\xff\x00 not json")
    assert holds(signed(body=b""), b"")


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        (("secret-value",), True),
        (("other", "whsec_other", SECRET), True),
        ((SECRET, "other"), True),
        (("",), False),
        (("whsec_",), False),
        ((), False),
        (("whsec_whsec_secret-value",), False),
        (("WHSEC_secret-value",), False),
        (("secret-value ",), False),
        (("\udcff",), False),
    ],
)
def test_any_configured_secret_will_do_and_its_prefix_is_optional(
    secrets: tuple[str, ...], expected: bool
) -> None:
    assert holds(headers(), secrets=secrets) is expected


def test_an_empty_secret_does_not_let_anyone_sign() -> None:
    mac = hmac.new(b"", b"pred_123.1700000000." + BODY, hashlib.sha256).hexdigest().encode()
    assert not holds(headers(b"v3," + mac), secrets=("", "whsec_"))


def test_the_key_is_literal_text_even_when_it_looks_like_base64() -> None:
    mac = hmac.new(b"c2VjcmV0", b"pred_123.1700000000." + BODY, hashlib.sha256).hexdigest().encode()
    assert holds(headers(b"v3," + mac), secrets=("whsec_c2VjcmV0",))


V = b"v3," + VECTOR
O = b"v3," + OTHER  # noqa: E741 - the other signature, beside V


@pytest.mark.parametrize("value", [V, O + b" " + V, V + b" " + O, b" ".join([O] * 9 + [V])])
def test_one_matching_signature_among_up_to_ten_is_enough(value: bytes) -> None:
    assert holds(headers(value))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        O,
        b"v3,",
        VECTOR,
        b"v3," + VECTOR.upper(),
        b"v3," + VECTOR[:-1],
        V + b"0",
        b"V3," + VECTOR,
        b"v1," + VECTOR,
        b"v3=" + VECTOR,
        b"v3, " + VECTOR,
        V + b" ",
        b" " + V,
        V + b"\n",
        V + b"  " + O,
        V + b"," + O,
        V + b"\t" + O,
        V + b" v1," + OTHER,
        V + b" garbage",
        b" ".join([O] * 10 + [V]),
        b" ".join([V] * 11),
        V + b" " * 5000,
        b" ".join([V] * 200),
        b"v3," + VECTOR[:-2] + "é".encode(),
    ],
)
def test_a_malformed_signature_header_is_refused_even_with_the_right_signature_in_it(value: bytes) -> None:
    assert not holds(headers(value))


ARABIC_DIGITS = b"\xd9\xa1\xd9\xa7"
NO_NUMBERS = [b"", b" ", b"now", b"nan", ARABIC_DIGITS, b"1700000000,1700000000"]
OTHER_SPELLINGS = [
    b"-1",
    b"+1700000000",
    b"1700000000.0",
    b"1_700_000_000",
    b"1.7e9",
    b"0x6553f100",
    b"1" * 13,
]
PADDED = [b"1700000000\n", b" 1700000000", b"1700000000 "]


@pytest.mark.parametrize("timestamp", [*NO_NUMBERS, *OTHER_SPELLINGS, *PADDED])
def test_a_timestamp_is_one_to_twelve_ascii_digits_even_when_signed_otherwise(timestamp: bytes) -> None:
    with pytest.raises(errors.Unverified, match=r"^webhook-timestamp is malformed$"):
        verify(signed(timestamp=timestamp), BODY, [SECRET], NOW)


@pytest.mark.parametrize("webhook_id", [b"!", b"~" * 256, b"a.b/c:d", b"evt,1"])
def test_a_webhook_id_is_any_visible_ascii(webhook_id: bytes) -> None:
    assert verify(signed(webhook_id), BODY, [SECRET], NOW).webhook_id == webhook_id.decode()


@pytest.mark.parametrize("webhook_id", [b"", b"a" * 257, b"a b", b"a\n", b"\x7f", b"\x00", "é".encode()])
def test_another_webhook_id_is_malformed(webhook_id: bytes) -> None:
    with pytest.raises(errors.Unverified, match=r"^webhook-id is malformed$"):
        verify(signed(webhook_id), BODY, [SECRET], NOW)


@pytest.mark.parametrize("name", [b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
def test_each_header_comes_exactly_once(name: bytes) -> None:
    """Repeated also when both copies agree: a proxy and we might pick different ones."""
    without = [header for header in headers() if header[0] != name]
    with pytest.raises(errors.Unverified, match=f"^{name.decode()} is missing$"):
        verify(without, BODY, [SECRET], NOW)
    twice = headers() + [(name.title(), value) for key, value in headers() if key == name]
    with pytest.raises(errors.Unverified, match=f"^{name.decode()} is repeated$"):
        verify(twice, BODY, [SECRET], NOW)


def test_header_names_have_no_case() -> None:
    assert holds([(name.upper(), value) for name, value in headers()])


@pytest.mark.parametrize(
    ("now", "stale"),
    [(NOW, False), (NOW + 300, False), (NOW - 300, False), (NOW + 300.5, True), (NOW - 301, True), (0, True)],
)
def test_five_minutes_either_way_are_believed(now: float, stale: bool) -> None:
    assert verify(headers(), BODY, [SECRET], now).stale is stale


@pytest.mark.parametrize("timestamp", [b"0", b"999999999999", b"000000000000"])
def test_a_genuine_callback_of_any_time_is_stale_not_refused(timestamp: bytes) -> None:
    assert verify(signed(timestamp=timestamp), BODY, [SECRET], NOW).stale


def test_a_forgery_is_refused_before_its_time_is_looked_at() -> None:
    with pytest.raises(errors.Unverified, match=r"^no signature matches$"):
        verify(headers(timestamp=b"1"), BODY, [SECRET], NOW)


def test_only_verify_makes_a_verified() -> None:
    with pytest.raises(TypeError):
        Verified("pred_123", NOW, BODY, stale=False, proof=None)
    found = verify(headers(), BODY, [SECRET], NOW)
    with pytest.raises(AttributeError):
        found.stale = True  # type: ignore[misc]  # what this test is about
    assert "status" not in repr(found)


@pytest.mark.parametrize(
    ("sent", "claimed"),
    [
        (headers(OTHER), "pred_123"),
        (headers(webhook_id=b"x" * 256), "x" * 256),
        (headers(webhook_id=b"x" * 257), None),
        (headers(webhook_id=b"two words"), None),
        (headers(webhook_id=b"\xc3\xa9"), None),
        (headers(webhook_id=b""), None),
        (headers() * 2, None),
        ([], None),
    ],
)
def test_an_unverified_callback_is_called_as_it_claims_only_when_that_is_a_name(
    sent: Headers, claimed: str | None
) -> None:
    assert claimed_id(sent) == claimed


PIECES = [
    b"v3",
    b"v1",
    b",",
    b" ",
    VECTOR,
    VECTOR[:63],
    VECTOR.upper(),
    OTHER,
    b"1700000000",
    b"\x00",
    b"\xff",
]
PIECES += [b"\n", b"\r", b"\t", b"0", b"-", b"+", b".", b"v3," + OTHER, b";", b"=", b"pred_123", b""]
WELL_FORMED = re.compile(rb"v3,[0-9a-f]{64}( v3,[0-9a-f]{64}){0,9}")


def test_twenty_thousand_generated_headers_end_in_a_yes_or_an_unverified() -> None:
    """And a yes needs each header in its shape, with the right signature among the entries."""
    dice = random.Random(20261005)
    for _ in range(20_000):
        value = b"".join(dice.choices(PIECES, k=dice.randint(0, 7)))
        if dice.random() < 0.5:
            sent = headers(timestamp=value)
            expected = value == b"1700000000"
        else:
            sent = headers(value)
            expected = bool(WELL_FORMED.fullmatch(value)) and V in value
        assert holds(sent) is expected, value


@given(st.lists(st.tuples(st.sampled_from(headers()).map(lambda header: header[0]), st.binary(max_size=80))))
def test_headers_of_any_bytes_are_unverified_and_nothing_worse(sent: Headers) -> None:
    assert not holds(sent)
