"""Which events a hook gets: all of its filters have to let an event pass."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from service.hooks.declared import Hook
    from service.prediction import Nsfw


def matches(hook: Hook, event: str, model: str, source: str, nsfw: Collection[Nsfw | str]) -> bool:
    """`nsfw`: the classes of the outputs that the event tells of.

    An event of no output at all, say of a failure, passes every filter by class: it has none, and a hook that
    does not want it says so with `events`. Left out here, nobody would hear of a failure.
    """
    return (
        _any(hook.events, event)
        and _any(hook.models, model)
        and _any(hook.sources, source)
        and (not nsfw or not set(hook.nsfw).isdisjoint(nsfw))
    )


def hears_of_hooks(hook: Hook, event: str) -> bool:
    """Whether it wants an event about another hook: said by a glob that begins with `hook.`.

    `*` does not mean them: who wants all of the predictions expects one in every event.
    """
    return _any((glob for glob in hook.events if glob.startswith("hook.")), event)


def _any(globs: Iterable[str], text: str) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
