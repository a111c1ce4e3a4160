"""Values that stand elsewhere: `{ env = "NAME" }` or `{ file = "/path" }` in place of a secret text.

In a hook's `headers`, as `key` and `secrets` of a source, and as `redis_url` of a shard.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.settings.sources import PREFIX, Found, Reading, entry_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Resolve = Callable[[dict[str, Any], Mapping[str, str]], tuple[dict[str, Any], list[str]]]


def resolved(reading: Reading, environ: Mapping[str, str]) -> Reading:
    """The same with every reference replaced by what it refers to."""
    of_tables: dict[str, Resolve] = {
        "hooks": _of_hook,
        "sources": partial(_of_fields, ("key", "secrets")),
        "shards": partial(_of_fields, ("redis_url",)),
    }
    for table, resolve in of_tables.items():
        if table in reading.found:
            reading = _resolved(reading, table, resolve, environ)
    return reading


def _resolved(reading: Reading, table: str, resolve: Resolve, environ: Mapping[str, str]) -> Reading:
    told = reading.found[table]
    entries, problems = [], list(reading.problems)
    for number, entry in enumerate(told.value):
        fields, wrong = resolve(entry, environ)
        label = entry_label(table, told.value, number)
        problems += [problem.format(of=f"of {label} in {told.origin}") for problem in wrong]
        entries.append(fields)
    found = reading.found | {table: Found(entries, told.spelled, told.origin)}
    return Reading(found, problems)


def _of_hook(hook: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Without headers that cannot be resolved: one complaint about each is enough."""
    told = hook.get("headers")
    if not isinstance(told, dict):
        return hook, []
    headers, problems = {}, []
    for name, value in told.items():
        try:
            headers[name] = _looked_up(value, environ) if isinstance(value, dict) else value
        except ValueError as error:
            problems.append(f"headers {{of}}: {_braced(name)} {_braced(error)}")
    return hook | {"headers": headers}, problems


def _of_fields(
    names: Sequence[str], entry: dict[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    fields, problems = dict(entry), []
    for name in names:
        told = fields.get(name)
        try:
            if isinstance(told, dict):
                fields[name] = _looked_up(told, environ)
            elif isinstance(told, list):
                fields[name] = [_looked_up(one, environ) if isinstance(one, dict) else one for one in told]
        except ValueError as error:
            del fields[name]
            problems.append(f"{name} {{of}}: {_braced(error)}")
    return fields, problems


def _braced(text: object) -> str:
    return str(text).replace("{", "{{").replace("}", "}}")


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
