"""From the sources to one frozen `Settings`, or to one message about everything that is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic import ValidationError

from service.errors import ConfigError
from service.settings.references import resolved
from service.settings.sources import Found, as_written, entry_label, read_environment, read_file
from service.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

_PLAIN = {
    "missing": "is required",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
"""pydantic's kinds of error in the words of a person who writes settings."""


def load(environ: Mapping[str, str] | None = None, config: Path | None = None) -> Settings:
    """The effective settings, or one ConfigError that lists everything wrong with them.

    Without `environ` the process's own is read; `config` beats `CATCHLIGHT_CONFIG` and `./catchlight.toml`.
    """
    environ = os.environ if environ is None else environ
    variables = read_environment(environ)
    file = resolved(read_file(environ, config), environ)
    found = file.found | variables.found
    problems = variables.problems + file.problems
    try:
        settings = Settings.model_validate(
            {name: one.value for name, one in found.items()},
            context={name: one.origin for name, one in found.items()},
        )
    except ValidationError as error:
        problems += [_explained(detail, found) for detail in error.errors()]
    if problems:
        # Without its cause: pydantic's error carries the values, and some of them are secrets.
        raise ConfigError(_listed(problems)) from None
    return settings


def _explained(detail: ErrorDetails, found: Mapping[str, Found]) -> str:
    name, *inside = detail["loc"]
    setting = found[str(name)]
    where = setting.spelled
    if inside and isinstance(inside[0], int):
        key = f"{as_written(str(name), str(inside[1]))} of " if len(inside) > 1 else ""
        where = f"{key}{entry_label(str(name), setting.value, inside[0])} in {setting.origin}"
    return f"{where}: {_sentence(detail)}"


def _sentence(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return _PLAIN.get(detail["type"]) or detail["msg"].replace("Input should", "must")


def _listed(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n  ".join([f"{len(problems)} settings are wrong:", *problems])
