"""Secrets in files, as containers and systemd hand them over: `CATCHLIGHT_…_FILE`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.errors import ConfigError
from service.settings import load

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("redis_url", "webhook_secrets", "wavespeed_api_key", "admin_token", "viewer_token")


def files(folder: Path, **texts: str) -> dict[str, str]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {f"CATCHLIGHT_{name.upper()}_FILE": str(folder / name) for name in texts}


def test_the_text_of_the_file_is_the_value_without_the_line_end_of_an_editor(tmp_path: Path) -> None:
    settings = load(
        files(
            tmp_path,
            redis_url="redis://:p@h:1/0\n",
            webhook_secrets="whsec_a,whsec_b\n",
            wavespeed_api_key="k\n",
            admin_token="a" * 32 + "\n",
            viewer_token="v" * 32,
        )
    )
    assert settings.redis_url == "redis://:p@h:1/0"
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["whsec_a", "whsec_b"]
    assert settings.admin_token
    assert settings.admin_token.get_secret_value() == "a" * 32
    assert {settings.origins[name] for name in NAMES} == {
        f"file of CATCHLIGHT_{name.upper()}_FILE" for name in NAMES
    }


def test_the_variable_itself_goes_before_the_file(tmp_path: Path) -> None:
    environ = files(tmp_path, redis_url="redis://there:1/0") | {"CATCHLIGHT_REDIS_URL": "redis://here:1/0"}
    assert load(environ).redis_url == "redis://here:1/0"


def test_a_file_that_is_not_there_is_named_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CATCHLIGHT_ADMIN_TOKEN_FILE: cannot be read"):
        load({"CATCHLIGHT_ADMIN_TOKEN_FILE": str(tmp_path / "nowhere")})


def test_an_empty_file_is_a_mistake_and_not_an_empty_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CATCHLIGHT_ADMIN_TOKEN_FILE: is empty"):
        load(files(tmp_path, admin_token="\n"))


def test_only_secrets_stand_in_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CATCHLIGHT_PORT_FILE: is unknown"):
        load(files(tmp_path, port="1"))
