"""Values that stand elsewhere: `{ env = "NAME" }` or `{ file = "/path" }` in place of a header's text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.settings.sources import PREFIX, Found, Reading, entry_label

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOOKS = "hooks"


def resolved(reading: Reading, environ: Mapping[str, str]) -> Reading:
    """The same with every reference in a hook's `headers` replaced by what it refers to."""
    if _HOOKS not in reading.found:
        return reading
    told = reading.found[_HOOKS]
    hooks, problems = [], list(reading.problems)
    for number, hook in enumerate(told.value):
        headers, wrong = _headers(hook.get("headers"), environ)
        label = entry_label(_HOOKS, told.value, number)
        problems += [f"headers of {label} in {told.origin}: {problem}" for problem in wrong]
        hooks.append(hook if headers is None else hook | {"headers": headers})
    found = reading.found | {_HOOKS: Found(hooks, told.spelled, told.origin)}
    return Reading(found, problems)


def _headers(told: Any, environ: Mapping[str, str]) -> tuple[dict[str, Any] | None, list[str]]:
    """Without those that cannot be resolved: one complaint about each is enough."""
    if not isinstance(told, dict):
        return None, []
    headers, problems = {}, []
    for name, value in told.items():
        try:
            headers[name] = _looked_up(value, environ) if isinstance(value, dict) else value
        except ValueError as error:
            problems.append(f"{name} {error}")
    return headers, problems


def _looked_up(reference: dict[str, Any], environ: Mapping[str, str]) -> str:
    """Raises ValueError; its text names where we looked, and never what was there."""
    match reference:
        case {"env": str(variable), **more} if not more:
            if variable.startswith(PREFIX):
                raise ValueError(f"names {variable}: take a variable without {PREFIX} in front")
            if not environ.get(variable):
                raise ValueError(f"names the variable {variable}, which is not set")
            return environ[variable].strip()
        case {"file": str(path), **more} if not more:
            try:
                return Path(path).read_text("utf-8").strip()
            except OSError as error:
                raise ValueError(f"names {path}, which cannot be read ({error.strerror})") from None
            except ValueError:
                raise ValueError(f"names {path}, which is not text") from None
    raise ValueError('must be text, { env = "NAME" } or { file = "/path" }')
