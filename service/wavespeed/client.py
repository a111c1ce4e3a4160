"""The provider's API. Nothing here repeats a call: whether and when to ask again is the caller's decision."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NoReturn

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from service import clock, errors
from service.authorities import bundled
from service.wavespeed.answer import Answer, Kind, read, refusal, retry_after
from service.wavespeed.inputs import check_model
from service.wavespeed.parse import ID, report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.prediction import Report
    from service.sources import Source

_NOT_FOUND = 404
_MAX_ANSWER = 64 * 1024 * 1024
_DEADLINE = 60
"""Seconds for a whole call; the client's own timeouts bound only each silence in it."""

_FAULTS = (httpx.HTTPError, aiohttp.ClientError, TimeoutError)
"""The transport lets some of aiohttp's errors through, an unreadable status line among them."""


def open_http() -> httpx.AsyncClient:
    """One client for all sources. Proxies and certificates named by the environment are ignored."""
    return httpx.AsyncClient(
        transport=AiohttpTransport(verify=bundled(), trust_env=False),
        timeout=httpx.Timeout(30, connect=5),
        trust_env=False,
        follow_redirects=False,
    )


def clients(sources: Sequence[Source], http: httpx.AsyncClient) -> dict[str, Client]:
    """One for each source that has a key, by its name; when none has, for the first alone."""
    asked = [source for source in sources if source.key] or sources[:1]
    return {source.name: Client(source.provider_url, source.key, http) for source in asked}


class Client:
    """One account at the provider. Raises ProviderDown (ask again later) and ProviderRefused (do not)."""

    def __init__(self, url: str, key: str | None, http: httpx.AsyncClient) -> None:
        """`url` is the API's base, as in `https://api.wavespeed.ai/api/v3`; the key is sent nowhere else."""
        self._url = url.rstrip("/")
        self._key = key
        self._http = http

    async def submit(self, model: str, inputs: Mapping[str, Any], webhook: str | None) -> Report:
        """Start a prediction. SubmitUnknown: it may have started all the same; ProviderDown: it cannot have.

        There is no idempotency key, and a repeated POST bills twice.
        """
        check_model(model)
        body = _encode(inputs)
        try:
            answer, wait = await self._exchange(
                "POST", f"/{model}", body, {"webhook": webhook} if webhook else {}
            )
        except _FAULTS as error:
            if _never_connected(error):
                raise errors.ProviderDown(f"no connection to the provider: {_name(error)}") from error
            raise errors.SubmitUnknown(f"no answer to the submit: {_name(error)}") from error
        if answer.kind in (Kind.REFUSED, Kind.BUSY):
            raise errors.ProviderRefused(
                answer.code,
                self._masked(answer.message),
                refusal(answer.code),
                retry_after(wait, clock.now()) if answer.kind is Kind.BUSY else None,
            )
        if answer.kind is Kind.BROKEN:
            raise errors.SubmitUnknown(self._masked(answer.message))
        try:
            return report(answer.said)
        except errors.Unparseable as error:
            raise errors.SubmitUnknown(f"the provider took the submit and gave no id: {error}") from error

    async def result(self, id: str) -> Report | None:  # noqa: A002 - the provider's word
        """The prediction as it is now; None when the provider does not know it.

        Unparseable when the answer is sound and holds no such prediction: that says nothing about other ids.
        """
        if not ID.fullmatch(id):
            raise errors.InvalidInput("id", "must be 1 to 128 of the characters A-Z a-z 0-9 _ -")
        try:
            said = await self._ask("GET", f"/predictions/{id}/result")
        except errors.ProviderRefused as refusal:
            if refusal.status == _NOT_FOUND:
                return None
            raise
        found = report(said)
        if found.id != id:
            raise errors.Unparseable("the provider answered with another prediction")
        return found

    async def listed(
        self,
        page: int,
        page_size: int = 100,
        *,
        status: str | None = None,
        model: str | None = None,
        created_after: float | None = None,
        created_before: float | None = None,
    ) -> list[Report]:
        """A page (from 1) of the last seven days, newest first; instants in seconds since the epoch.

        Items carry no NSFW flags, so a completion found here must still be fetched by `result`. Unreadable
        items are left out: a page that is shorter than asked need not be the last, an empty one is.
        """
        wanted = {
            "page": page,
            "page_size": page_size,
            "status": status,
            "model": model,
            "created_after": None if created_after is None else clock.rfc3339(created_after),
            "created_before": None if created_before is None else clock.rfc3339(created_before),
        }
        body = _encode({name: value for name, value in wanted.items() if value is not None})
        data = (await self._ask("POST", "/predictions", body)).get("data")
        items = data.get("items", ()) if isinstance(data, dict) else data
        if items is not None and not isinstance(items, list | tuple):
            _unreadable("list")
        return [known for item in items or () if (known := _readable(item))]

    async def secret(self) -> str:
        """The account's webhook secret, `whsec_…`."""
        said = await self._ask("GET", "/webhook/secret")
        data = said.get("data", said)
        secret = data.get("secret") if isinstance(data, dict) else data
        if not isinstance(secret, str) or not secret:
            _unreadable("webhook secret")
        return secret

    async def balance(self) -> float:
        """US dollars; the cheapest call that shows whether the key works."""
        data = (await self._ask("GET", "/balance")).get("data")
        balance = data.get("balance") if isinstance(data, dict) else data
        try:
            amount = float(balance) if isinstance(balance, int | float | str) else math.nan
        except (ValueError, OverflowError):
            amount = math.nan
        if not math.isfinite(amount) or isinstance(balance, bool):
            _unreadable("balance")
        return amount

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """For every call that changes nothing there, and may therefore be made again."""
        try:
            answer, wait = await self._exchange(method, path, body)
        except _FAULTS as error:
            raise errors.ProviderDown(f"no answer from the provider: {_name(error)}") from error
        if answer.kind is Kind.OK:
            return answer.said
        message = self._masked(answer.message)
        if answer.kind is Kind.REFUSED:
            raise errors.ProviderRefused(answer.code, message, refusal(answer.code))
        raise errors.ProviderDown(message, retry_after(wait, clock.now()))

    async def _exchange(
        self, method: str, path: str, body: bytes | None, params: Mapping[str, str] | None = None
    ) -> tuple[Answer, str | None]:
        """The answer, and the Retry-After that came with it."""
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        if body is not None:
            headers["content-type"] = "application/json"
        request = self._http.build_request(
            method, self._url + path, content=body, params=params or None, headers=headers
        )
        async with asyncio.timeout(_DEADLINE):
            response = await self._http.send(request, stream=True, follow_redirects=False)
            async with aclosing(response):
                return read(response.status_code, await _raw(response)), response.headers.get("retry-after")

    def _masked(self, message: str) -> str:
        return message.replace(self._key, "***") if self._key else message


async def _raw(response: httpx.Response) -> bytes:
    """The bytes as sent, never inflated; an answer over the cap is cut there, and no longer JSON."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _MAX_ANSWER:
            break
    return bytes(body)


def _encode(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.InvalidInput("input", "must be plain JSON") from error


def _readable(item: object) -> Report | None:
    try:
        return report(item)
    except errors.Unparseable:
        return None


def _never_connected(error: Exception) -> bool:
    """Only what aiohttp raises while it connects. httpx's name for it is no proof: the transport also calls
    a connection that broke after the request was written a ConnectTimeout.
    """
    return isinstance(error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _name(error: Exception) -> str:
    """The class alone: an error's text may quote the URL with its query."""
    return type(error.__cause__ or error).__name__


def _unreadable(what: str) -> NoReturn:
    raise errors.ProviderDown(f"the provider's answer holds no readable {what}")
