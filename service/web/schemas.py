"""What the API takes: strict bodies whose errors name the field."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import InvalidInput, Unparseable
from service.reviewing import BY_MOST, REASON_MOST
from service.runs import RATE_LEAST, RATE_MOST
from service.wavespeed import strict_json
from service.web.tokens import Role

Body = TypeVar("Body", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class SubmitBody(_Strict):
    model: Annotated[str, Field(min_length=1, max_length=256, examples=["vendor/model"])]
    input: Annotated[dict[str, Any], Field(description="The model's inputs, passed through")]
    metadata: Annotated[dict[str, Any], Field(description="Yours; comes back in events")] = {}


class TrackBody(_Strict):
    model: Annotated[str, Field(max_length=256)] = ""
    metadata: Annotated[dict[str, Any], Field(description="Yours; comes back in events")] = {}


class ReplayBody(_Strict):
    step: Annotated[Literal["fetch", "deliver"], Field(alias="from")] = "fetch"
    new_id: Annotated[bool, Field(description="Give the events new ids")] = False


class RunBody(_Strict):
    kind: Annotated[Literal["replay", "retry"], Field(description="Predictions, or deliveries")] = "replay"
    query: Annotated[str, Field(max_length=2_000, examples=["stage:dead since:1d"])] = ""
    again: Annotated[str, Field(max_length=64, description="A run whose failures to run again")] = ""
    step: Annotated[Literal["fetch", "deliver"], Field(alias="from")] = "fetch"
    rate: Annotated[float | None, Field(ge=RATE_LEAST, le=RATE_MOST, description="Per second")] = None
    new_id: Annotated[bool, Field(description="Give the events new ids")] = False
    dry_run: Annotated[bool, Field(description="Plan it; `resume` acts on exactly that")] = False


class SessionBody(_Strict):
    token: Annotated[str, Field(min_length=1, max_length=4096, description="The admin or the viewer token")]


class ReviewBody(_Strict):
    by: Annotated[str, Field(max_length=BY_MOST, description="Who decides")] = Role.OPERATOR
    reason: Annotated[str, Field(max_length=REASON_MOST, description="Why; on one line")] = ""


def read(kind: type[Body], raw: bytes) -> Body:
    """The body as `kind`; an empty one is an empty object. Raises InvalidInput with the first wrong field."""
    try:
        value = strict_json.loads(raw) if raw.strip() else {}
    except Unparseable as error:
        raise InvalidInput("body", str(error)) from error
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidInput(field, first["msg"]) from error
