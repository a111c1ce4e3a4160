"""One `[[sources]]` table: a provider account beside the default one, and what is wrong with it."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

from service.moderation import Rules
from service.settings.fields import HttpUrl, Rate, Secret, Secrets

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_OURS = re.compile(r"/(?:api|assets|livez|readyz|metrics|openapi\.json|sign-in|session|static|files)(?:/|$)")
_LIKE_FOLDERS = ("held", "derived")
"""A source's files stand in a folder of its name, beside these of ours."""


def named(text: str) -> str:
    """Raises ValueError for what can be no name in a path, a folder or a label."""
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 of a-z, 0-9, _ and -")
    return text


def _name(text: str) -> str:
    if named(text) in _LIKE_FOLDERS:
        raise ValueError("is the name of a folder of ours in the storage: choose another")
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError("must be a path like /webhooks/studio, of letters, digits, . _ ~ and -")
    if _OURS.match(text):
        raise ValueError("is a path of our own API or pages: choose another, say under /webhooks/")
    return text


class Declared(BaseModel):
    """As it is written; what it leaves out is the setting of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, AfterValidator(_name)]
    key: Secret | None = None
    secrets: Secrets = ()
    path: Annotated[str, AfterValidator(_path)] | None = None
    provider_url: HttpUrl | None = None
    poll_rate: Rate | None = None
    moderation: Rules | None = None

    @property
    def callback_path(self) -> str:
        return self.path or f"/webhooks/{self.name}"


def plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
