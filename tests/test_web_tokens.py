"""Tokens: whose role a given one has, how they are compared, and what is kept of them."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from service.settings import Settings
from service.web import sessions, tokens
from service.web.tokens import Role, Token
from tests.visitors import ADMIN, OPERATOR_TOKEN, TOKENS, VIEWER, VIEWER_TOKEN

BOTH = (OPERATOR_TOKEN, VIEWER_TOKEN)
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("given", "token"),
    [
        (ADMIN, OPERATOR_TOKEN),
        (VIEWER, VIEWER_TOKEN),
        *((wrong, None) for wrong in ("", "x", ADMIN[:-1], f"{ADMIN}x", ADMIN.upper(), f"{ADMIN} ", "tökén")),
    ],
)
def test_a_given_token_is_one_of_those_set_to_the_letter(given: str, token: Token | None) -> None:
    assert tokens.match(BOTH, given) is token


def test_without_any_token_none_matches() -> None:
    assert tokens.match((), "") is None


def test_the_admin_token_operates_and_the_viewer_token_views() -> None:
    found = tokens.configured(Settings.model_validate(TOKENS))
    assert found == BOTH
    assert [token.role for token in found] == [Role.OPERATOR, Role.VIEWER]
    assert tokens.configured(Settings()) == ()


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Every comparison in constant time."""
    seen: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def watched(a: Any, b: Any) -> bool:
        seen.append((a, b))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    return seen


@pytest.mark.parametrize("given", [ADMIN, VIEWER, "wrong", ""])
def test_every_token_is_compared_in_constant_time_whatever_the_first_says(
    compared: list[tuple[Any, Any]], given: str
) -> None:
    tokens.match(BOTH, given)
    assert [known for _, known in compared] == [token.digest for token in BOTH]
    assert {len(digest) for pair in compared for digest in pair} == {32}


@pytest.mark.parametrize("opener", BOTH)
def test_so_is_the_signature_under_every_tokens_key(compared: list[tuple[Any, Any]], opener: Token) -> None:
    value = sessions.opened(opener, NOW).value
    assert sessions.role_of(BOTH, value, NOW) is opener.role
    assert [given for _, given in compared] == [value[-64:]] * len(BOTH)


def test_a_token_is_shown_nowhere_and_its_key_is_no_digest_of_it() -> None:
    shown = repr(OPERATOR_TOKEN)
    assert shown == "Token(role=<Role.OPERATOR: 'operator'>)"
    assert OPERATOR_TOKEN.session_key not in (OPERATOR_TOKEN.digest, ADMIN.encode())
    assert ADMIN.encode() not in (OPERATOR_TOKEN.digest, OPERATOR_TOKEN.session_key)
