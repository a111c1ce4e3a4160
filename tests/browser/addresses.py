"""Every page that there is, as the application's routes say it: one that is added is looked at, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Mount, Route

from service.ledger.query import DeliveryQuery, Query
from service.prediction import Stage
from tests.described import is_of_a_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from starlette.routing import BaseRoute

    from service.hooks import Hook
    from service.ledger import Ledger

_OF_REVIEW = tuple(f"/review/{{source}}/{{id}}/{{index}}/{of}" for of in ("reveal", "looks", "decide"))
NO_PAGES = ("/live", "/static/{file}", *_OF_REVIEW)
"""What pages ask for and nobody opens: a stream, styles and scripts, the reload of a form's answer.

What begins with `/media/` is files.
"""
_MEDIA = "/media/"


def templates(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Of the paths that a person opens."""
    for route in routes:
        if isinstance(route, Mount):
            yield from templates(route.routes)
        elif isinstance(route, Route) and is_of_a_page(route) and "GET" in (route.methods or ()):
            path = route.path_format
            if path not in NO_PAGES and not path.startswith(_MEDIA):
                yield path


async def pages(routes: Iterable[BaseRoute], ledger: Ledger, hooks: Iterable[Hook]) -> list[str]:
    """The path of every page; of those that are about one thing, of some that the ledger has.

    Raises LookupError for a path with braces that is new.
    """
    known = await _known(ledger, hooks)
    paths: list[str] = []
    for template in dict.fromkeys(templates(routes)):
        if "{" in template and template not in known:
            raise LookupError(f"{template}: say in tests/browser/addresses.py which of these there are")
        paths += known[template] if "{" in template else [template]
    return paths


async def _known(ledger: Ledger, hooks: Iterable[Hook]) -> Mapping[str, Sequence[str]]:
    """Template -> paths: some predictions, a delivery of each state, the newest runs, all hooks."""
    ids = []
    for stage in (Stage.DONE, Stage.DEAD, Stage.AWAITED):
        found, _ = await ledger.reading.page(Query(stage=stage), 1, None)
        ids += [one["id"] for one in found]
    deliveries = []
    for state in ("delivered", "dead"):
        listed, _ = await ledger.reading.deliveries(1, None, DeliveryQuery(state=state))
        deliveries += [one["id"] for one in listed]
    held, _ = await ledger.reading.held(Query(), 1, None)
    return {
        "/review/{source}/{id}/{index}": [
            f"/review/{one['source']}/{one['id']}/{one['index']}" for one in held
        ],
        "/predictions/{id}": [f"/predictions/{id_}" for id_ in ids],
        "/deliveries/{id}": [f"/deliveries/{id_}" for id_ in deliveries],
        "/hooks/{name}": [f"/hooks/{hook.name}" for hook in hooks],
        "/runs/{id}": [f"/runs/{run.id}" for run in await ledger.runs.latest(2)],
    }
