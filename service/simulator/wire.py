"""The provider's JSON, from its documentation: the flat prediction, the envelope, its ways to say no."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from service.simulator.truth import Prediction


def payload(prediction: Prediction, now: float, base_url: str) -> dict[str, Any]:
    """The body of a callback, and the `data` of a result."""
    status = prediction.status(now)
    ending = prediction.ending
    finished = now >= prediction.ready
    seconds = round(prediction.ready - prediction.created, 3)
    shown: dict[str, Any] = {
        "id": prediction.id,
        "model": prediction.model,
        "outputs": list(ending.outputs) if finished else [],
        "urls": {"get": f"{base_url}/api/v3/predictions/{prediction.id}/result"},
        "has_nsfw_contents": ending.nsfw if finished else [],
        "status": status,
        "created_at": instant(prediction.created, Random(prediction.id).choice((2, 3, 9))),
        "error": ending.error if finished else "",
        "executionTime": round(seconds * 1000) if finished else 0,
        "timings": {"inference": round(seconds * 1000) if finished else 0},
    }
    if finished and ending.code is not None:
        shown["code"] = ending.code
    # Some payloads bring the inputs along and some do not.
    if Random(prediction.id).random() < 1 / 2:
        shown["input"] = prediction.inputs
    return shown


def instant(seconds: float, digits: int) -> str:
    """RFC 3339 with as many digits of a second as asked for: the provider sends 2, 3 or 9."""
    moment = datetime.fromtimestamp(seconds, UTC)
    fraction = f"{moment.microsecond:06d}000"[:digits]
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def enveloped(data: Any) -> JSONResponse:
    return JSONResponse({"code": 200, "message": "success", "data": data})


def refused(status: int, message: str, code: int | None = None) -> JSONResponse:
    return JSONResponse({"code": status if code is None else code, "message": message}, status)


def bare_refusal(message: str) -> JSONResponse:
    """A 400 without the envelope, as the provider answers a callback together with base64 output."""
    return JSONResponse({"error": message}, 400)


def fault(rng: Random) -> Response:
    """One of the shapes in which the API fails for a while; a client must understand them all."""
    shapes: list[Response] = [
        JSONResponse({"code": 429, "message": "concurrency limit reached"}, 429, {"retry-after": "1"}),
        JSONResponse({"code": 429, "message": "too many requests"}, 429),
        JSONResponse({"code": 500, "message": "internal error"}, 500),
        JSONResponse({"code": 500, "message": "internal error"}, 200),
        JSONResponse({"error": "service unavailable"}, 503),
        PlainTextResponse("<html><h1>502 Bad Gateway</h1></html>", 502, {"content-type": "text/html"}),
    ]
    return rng.choice(shapes)
