"""Sessions: signed, for twelve hours, and worth exactly what the token is that opened them."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web import sessions
from service.web.tokens import Role, Token
from tests.visitors import OPERATOR_TOKEN, VIEWER_TOKEN

BOTH = (OPERATOR_TOKEN, VIEWER_TOKEN)
NOW = 1_700_000_000.7
HOURS = 3600
SESSION = sessions.opened(OPERATOR_TOKEN, NOW)


def signed(token: Token, claim: str) -> str:
    """By whoever has the token, and so its key."""
    return f"{claim}.{hmac.new(token.session_key, claim.encode(), hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize("token", BOTH)
def test_a_session_has_the_role_of_the_token_that_opened_it(token: Token) -> None:
    assert sessions.role_of(BOTH, sessions.opened(token, NOW).value, NOW) is token.role


def test_it_lives_for_twelve_hours() -> None:
    assert SESSION.expires == int(NOW) + 12 * HOURS
    assert sessions.role_of(BOTH, SESSION.value, NOW + 12 * HOURS - 1) is Role.OPERATOR
    assert sessions.role_of(BOTH, SESSION.value, NOW + 12 * HOURS) is None


def test_another_token_ends_it_and_one_beside_it_does_not() -> None:
    changed = Token.of("another-admin-token", Role.OPERATOR)
    assert sessions.role_of((changed, VIEWER_TOKEN), SESSION.value, NOW) is None
    assert sessions.role_of((), SESSION.value, NOW) is None
    assert sessions.role_of((OPERATOR_TOKEN, changed), SESSION.value, NOW) is Role.OPERATOR


def test_no_two_sessions_are_the_same_and_none_tells_of_its_token() -> None:
    assert sessions.opened(OPERATOR_TOKEN, NOW).value != SESSION.value
    for secret in (OPERATOR_TOKEN.session_key, OPERATOR_TOKEN.digest):
        assert secret.hex() not in SESSION.value


@pytest.mark.parametrize("position", range(len(SESSION.value)))
def test_whatever_letter_is_changed_it_is_worth_nothing(position: int) -> None:
    for letter in ("0", "f", ".", "A", "\u0660", "\u00fc"):
        if SESSION.value[position] != letter:
            changed = SESSION.value[:position] + letter + SESSION.value[position + 1 :]
            assert sessions.role_of(BOTH, changed, NOW) is None


def test_a_viewer_cannot_sign_himself_the_session_of_an_operator() -> None:
    claim = f"operator.{int(NOW) + 99}.{'0' * 32}"
    assert sessions.role_of(BOTH, signed(OPERATOR_TOKEN, claim), NOW) is Role.OPERATOR
    assert sessions.role_of(BOTH, signed(VIEWER_TOKEN, claim), NOW) is None


@pytest.mark.parametrize(
    "claim",
    [
        "", "operator", "root.9999999999.0", f"operator..{'0' * 32}", f"operator.-1.{'0' * 32}",
        f"operator.1e12.{'0' * 32}", f"operator.9999999999.{'0' * 31}", f"Operator.9999999999.{'0' * 32}",
        f"operator.\u0669999999999.{'0' * 32}", f"operator.9999999999.{'0' * 32}\n",
        f"operator.{'9' * 13}.{'0' * 32}",
    ],
)  # fmt: skip
def test_what_has_another_form_is_no_session_even_when_it_is_signed(claim: str) -> None:
    assert sessions.role_of(BOTH, signed(OPERATOR_TOKEN, claim), NOW) is None


@given(st.text(max_size=200))
def test_any_text_is_taken_and_none_is_a_session(text: str) -> None:
    assert sessions.role_of(BOTH, text, NOW) is None
