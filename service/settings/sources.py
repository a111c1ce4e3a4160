"""Where settings come from: the environment over the file over the defaults, each value with its spelling."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from service.hooks import Hook
from service.moderation import Override
from service.settings.accounts import Declared
from service.settings.model import TABLES, UNPREFIXED, Fields
from service.settings.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "CATCHLIGHT_"
_CONFIG = "CATCHLIGHT_CONFIG"
_FILE = Path("catchlight.toml")
_VARIABLES = {PREFIX + name.upper(): name for name in Fields.model_fields if name not in TABLES}
_IN_FILES = {
    f"{PREFIX}{name.upper()}_FILE": name
    for name in ("redis_url", "webhook_secrets", "wavespeed_api_key", "admin_token", "viewer_token")
}
"""Variables that name a file whose text is the value: as containers and systemd hand secrets over."""
_NAMES = list(Fields.model_fields)
_KEYS = {
    "hooks": [str(field.validation_alias or name) for name, field in Hook.model_fields.items()],
    "sources": list(Declared.model_fields),
    "shards": list(Shard.model_fields),
    "moderation": [field.name for field in fields(Override)],
}


class Found(NamedTuple):
    value: Any
    spelled: str
    """As its writer wrote it: `CATCHLIGHT_LEASE`, `lease in catchlight.toml`."""
    origin: str


class Reading(NamedTuple):
    found: dict[str, Found]
    problems: list[str]


def read_environment(environ: Mapping[str, str]) -> Reading:
    found = {}
    for name in UNPREFIXED:
        # Unlike our own variables these may be set for others, and empty means unset there (https://no-color.org).
        if text := environ.get(name.upper(), "").strip():
            value = True if name == "no_color" else text
            found[name] = Found(value, name.upper(), f"environment {name.upper()}")
    ours = [variable for variable in environ if variable.startswith(PREFIX) and variable != _CONFIG]
    for variable in ours:
        if variable in _VARIABLES:
            found[_VARIABLES[variable]] = Found(
                environ[variable].strip(), variable, f"environment {variable}"
            )
    known = _VARIABLES.keys() | _IN_FILES.keys()
    problems = [_unknown_variable(variable) for variable in ours if variable not in known]
    for variable, name in _IN_FILES.items():
        # Who starts a child says its Redis in the variable itself, which is nearer than the file.
        if variable in environ and name not in found:
            try:
                text = Path(environ[variable].strip()).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not text"
                problems.append(f"{variable}: cannot be read ({why}); give the path of a file with the value")
            else:
                found[name] = Found(text, variable, f"file of {variable}")
    return Reading(found, problems)


def _unknown_variable(variable: str) -> str:
    if (table := variable.removeprefix(PREFIX).lower()) in TABLES:
        return f"{variable}: belongs in the file, as [[{table}]]"
    nearest = _nearest(variable, [*_VARIABLES, *_IN_FILES, _CONFIG])
    return f"{variable}: is unknown; the nearest right one is {nearest}"


def read_file(environ: Mapping[str, str], config: Path | None) -> Reading:
    path = config or Path(environ.get(_CONFIG, _FILE))
    asked_for = config is not None or _CONFIG in environ
    if not asked_for and not path.exists():
        return Reading({}, [])
    spelled = f"{_CONFIG}={path}" if config is None and asked_for else str(path)
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        return Reading({}, [f"{spelled}: cannot be read ({error.strerror}); give the path of a TOML file"])
    except ValueError as error:
        return Reading({}, [f"{spelled}: is not valid TOML: {error}"])
    return _checked(values, str(path))


def _checked(values: dict[str, Any], file: str) -> Reading:
    found: dict[str, Found] = {}
    problems = []
    for key, value in values.items():
        if key not in Fields.model_fields:
            problems.append(f"{key} in {file}: is unknown; the nearest right one is {_nearest(key, _NAMES)}")
        elif key not in TABLES:
            found[key] = Found(value, f"{key} in {file}", file)
        elif not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            problems.append(f"{key} in {file}: must be written as [[{key}]] tables")
        else:
            known = [{k: v for k, v in entry.items() if k in _KEYS[key]} for entry in value]
            found[key] = Found(known, f"{key} in {file}", file)
            problems += _strangers(key, value, file)
    return Reading(found, problems)


def _strangers(table: str, entries: list[dict[str, Any]], file: str) -> list[str]:
    return [
        f"{key} of {entry_label(table, entries, number)} in {file}: is unknown; "
        f"the nearest right one is {_nearest(key, _KEYS[table])}"
        for number, entry in enumerate(entries)
        for key in entry
        if key not in _KEYS[table]
    ]


def entry_label(table: str, entries: list[dict[str, Any]], number: int) -> str:
    """`[[hooks]] "crm"`, or its number from 1 when it has no name."""
    name = entries[number].get("model" if table == "moderation" else "name")
    return f'[[{table}]] "{name}"' if isinstance(name, str) else f"[[{table}]] {number + 1}"


def as_written(table: str, attribute: str) -> str:
    """The key of an attribute. pydantic names one by its key only where something stood there."""
    field = Hook.model_fields.get(attribute) if table == "hooks" else None
    return str(field.validation_alias or attribute) if field else attribute


def _nearest(word: str, known: Iterable[str]) -> str:
    """However far off the word is, some name is nearest to it."""
    candidates = {_bare(name): name for name in known}
    return candidates[get_close_matches(_bare(word), candidates, n=1, cutoff=0)[0]]


def _bare(name: str) -> str:
    return name.lower().removeprefix(PREFIX.lower())
