"""The query of a list as a page shows it: an address, words that can be taken away or put in, completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from service import clock
from service.errors import InvalidInput
from service.ledger.query import WORDS, Query, parse
from service.prediction import Nsfw, Reason, Stage, Via

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

_ERRORS = ("timeout", "type_not_allowed", "refused_host")
_AGES = ("15m", "1h", "24h", "7d")
_QUERY_MOST = 1000


class Chip(NamedTuple):
    """A filter as a link: `query` is what the list is asked for by it."""

    label: str
    query: str
    on: bool
    amount: int | None = None


class Asked(NamedTuple):
    """`why` says which word of `text` is wrong; then `query` is none."""

    text: str
    query: Query | None
    why: str = ""


def read(request: Request) -> Asked:
    text = " ".join(request.query_params.get("query", "").split())
    if len(text) > _QUERY_MOST:
        return Asked(text, None, f"A query has at most {_QUERY_MOST} characters.")
    try:
        return Asked(text, parse(text, clock.now()))
    except InvalidInput as error:
        return Asked(text, None, str(error))


def address(path: str, **asked: object) -> str:
    """With those parameters that say something."""
    said = {name: str(value) for name, value in asked.items() if value not in (None, "")}
    return f"{path}?{urlencode(said)}" if said else path


def of_prediction(source: str, id_: str) -> str:
    return address(f"/predictions/{id_}", source=source)


def put(text: str, word: str) -> str:
    """With this word, in the place of one of the same name."""
    name = word.partition(":")[0]
    return " ".join([*(one for one in text.split() if one.partition(":")[0] != name), word])


def taken(text: str, word: str) -> str:
    return " ".join(one for one in text.split() if one != word)


def chips(text: str, words: Iterable[str]) -> list[Chip]:
    """Each puts its word in, or takes it away where it is."""
    there = text.split()
    return [Chip(word, taken(text, word) if (on := word in there) else put(text, word), on) for word in words]


def stages(text: str, counts: Mapping[str, int]) -> list[Chip]:
    """With how many there are, where nothing else is asked for: of a query's own nobody has counted."""
    rest = " ".join(one for one in text.split() if not one.startswith("stage:"))
    found = [
        chip._replace(label=stage, amount=None if rest else counts.get(stage, 0))
        for stage, chip in zip(Stage, chips(text, [f"stage:{stage}" for stage in Stage]), strict=True)
    ]
    is_all = not any(chip.on for chip in found)
    return [Chip("all", rest, is_all, None if rest else sum(counts.values())), *found]


def vocabulary(sources: Sequence[str], known: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """For the completion: the names of all words, and the values that are known for some."""
    values: dict[str, Sequence[str]] = {
        "stage": list(Stage),
        "nsfw": list(Nsfw),
        "via": list(Via),
        "err": [*Reason, *_ERRORS],
        "source": sources,
        "since": _AGES,
        **known,
    }
    names = [word.name for word in WORDS if word.predictions and word.name != "meta.KEY"]
    return {name: list(values.get(name, ())) for name in names} | {"meta.": []}
