"""Every setting: its name, its default and what it means, and what follows from the values together.

An attribute `x` is `CATCHLIGHT_X` in the environment and `x` in catchlight.toml.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from service.errors import ConfigError
from service.hooks import Hook
from service.moderation import Action, Policy
from service.settings.fields import (
    Directory,
    Duration,
    Format,
    Hosts,
    HttpUrl,
    Level,
    Networks,
    Rate,
    RedisUrl,
    Rule,
    Schedule,
    Secret,
    Secrets,
    Size,
    StorageUrl,
    Whole,
    at_least,
    is_loopback,
    longer_than,
)
from service.settings.rows import SettingRow, rows

UNPREFIXED = ("redis_url", "wavespeed_api_key", "port", "no_color")
"""Settings that are also honoured without `CATCHLIGHT_` in front."""
TABLES = ("hooks", "moderation")
"""Settings that only the file can hold."""
_EMPTY_MEANS_NONE = "fetch_private"
_KEPT_BY_PROVIDER = 7 * 86400
_TOKEN_LEAST = 16


def setting(default: Any, meaning: str) -> Any:
    return Field(default, description=meaning, validate_default=True)


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: RedisUrl | None = setting(None, "Redis ≥ 6.2 or Valkey")
    storage_url: StorageUrl | None = setting(
        None, "Where outputs go: `file:///…`, `s3://bucket/prefix`, `gs://…` or `az://…`"
    )
    held_storage_url: StorageUrl | None = setting(None, "A store of their own for held outputs")
    disk_free: Size | None = setting(
        None, "Bytes of a disk with outputs that stay free: below, nothing is fetched until there is room"
    )
    data_dir: Directory = setting(".catchlight", "The embedded server's files and the default storage")
    retention: Annotated[Duration, at_least("7d")] = setting(
        "30d", "How long a terminal prediction stays in the ledger, at least 7d; its files stay"
    )
    compact_after: Duration = setting(
        "1h", "How long after its end a prediction gets its compact form in the ledger, a third of the memory"
    )
    public_url: HttpUrl | None = setting(
        None, "Base of our own address, `/webhooks/<source>` is appended; http is a warning"
    )
    webhook_secrets: Secrets = setting(
        (), "Secrets of callbacks, with commas between; `whsec_` in front is optional; `serve` needs one"
    )
    provider_url: HttpUrl = setting(
        "https://api.wavespeed.ai/api/v3", "The provider's API; its host is allowed as configured"
    )
    wavespeed_api_key: Secret | None = setting(None, "The provider's API key: polling and submitting need it")
    admin_token: Secret | None = setting(
        None, "Bearer for the API, to read and to change; without it the API answers on loopback only"
    )
    viewer_token: Secret | None = setting(None, "Bearer that may only read; needs the admin token beside it")
    host: str = setting("127.0.0.1", "Address to listen on; another than loopback needs the admin token")
    port: Annotated[Whole, Field(ge=0, le=65535)] = setting(8080, "Port to listen on; 0 takes a free one")
    metrics_open: bool = setting(False, "`/metrics` without the token; this version does not serve it yet")
    max_body: Size = setting("8MiB", "Largest callback body")

    fetch_hosts: Hosts = setting(
        "*.cloudfront.net,*.wavespeed.ai",
        "Hosts of outputs: exact, `*.domain` (one label or more) or `*`; no ports; replaces the default",
    )
    fetch_private: Networks = setting(
        (), "Networks (CIDR) allowed besides public addresses, for outputs and hooks; inside them any port"
    )
    fetch_timeout: Annotated[Duration, longer_than("0s")] = setting("10m", "For a whole download")
    fetch_idle: Annotated[Duration, longer_than("0s")] = setting("15s", "For the first byte, and for silence")
    fetch_max_bytes: Size | None = setting(None, "One cap over all kinds of output")
    fetch_in_flight: Size = setting(
        "512MiB", "Bytes of outputs on their way per worker process; three quarters of it from one host"
    )
    fetch_per_host: Annotated[Whole, Field(ge=1)] = setting(
        128, "Downloads at once from one host, per worker process"
    )
    fetch_schedule: Schedule = setting("2s,10s,1m,5m,30m,2h", "Waits between attempts to fetch or store")

    concurrency: Annotated[Whole, Field(ge=1)] = setting(64, "Jobs in flight per worker process")
    lease: Annotated[Duration, longer_than("1s")] = setting(
        "12s", "A worker's claim, renewed every quarter of it"
    )
    grace: Duration = setting("10s", "For draining at SIGTERM; what is left is handed back at once")
    poll_after: Duration = setting("60s", "First poll this long after an id is known")
    poll_max: Annotated[Duration, longer_than("0s")] = setting(
        "60s", "Longest wait between polls; waits grow by half from 2 s"
    )
    poll_rate: Rate = setting("20/s", "Requests to the provider per second over all polls")
    deadline: Annotated[Duration, longer_than("0s")] = setting(
        "6d", "An awaited prediction older than this is expired"
    )
    reconcile_every: Duration = setting(
        "5m", "How often the provider's list is compared with the ledger; 0 = off"
    )
    breaker_probe: Annotated[Duration, longer_than("0s")] = setting(
        "30s", "How often a hook is tried while its breaker is open"
    )
    hook_schedule: Schedule = setting(
        "5s,5m,30m,2h,5h,10h,14h,20h,24h", "Waits between attempts of a delivery"
    )

    log_level: Level = setting("info", "`debug`, `info`, `warning`, `error` or `critical`")
    log_format: Format = setting(
        "auto", "`console`, `json`, or `auto`: console on a terminal, JSON elsewhere"
    )
    no_color: bool = setting(False, "Plain terminal output")

    failpoints: str | None = setting(
        None, "For fault tests only: `name=kill`, `raise`, `stall:10s` or `spin` at named places"
    )

    moderation_clean: Action = setting(Action.RELEASE, "For clean outputs: `release`, `hold` or `drop`")
    moderation_flagged: Action = setting(Action.HOLD, "For flagged outputs")
    moderation_unknown: Action = setting(Action.HOLD, "For outputs whose flag is missing or unusable")
    moderation: tuple[Rule, ...] = setting(
        (),
        "`[[moderation]]`: other policies for models that match a glob; the first that names a class counts",
    )
    hooks: tuple[Hook, ...] = setting((), "`[[hooks]]`: whom we tell")

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """`load` passes the origins of its values as the context of the validation."""
        self._origins = dict(context or {})

    def __repr_args__(self) -> list[tuple[str, Any]]:
        # Passwords stand in URLs too, and a repr ends up in tracebacks.
        return list(self.model_dump(mode="json").items())

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_empty(cls, value: Any, info: ValidationInfo) -> Any:
        if value == "" and info.field_name != _EMPTY_MEANS_NONE:
            raise ValueError("is empty: give it a value or remove it")
        return value

    @field_validator("viewer_token")
    @classmethod
    def _guard_viewer(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        admin = info.data.get("admin_token", "wrong")
        if token is not None and admin is None:
            raise ValueError(
                "needs CATCHLIGHT_ADMIN_TOKEN beside it: without that nobody is asked for a token"
            )
        if token is not None and token == admin:
            raise ValueError("is the admin token too, which may change things: give it a value of its own")
        return token

    @field_validator("host")
    @classmethod
    def _guard_open_host(cls, host: str, info: ValidationInfo) -> str:
        # A token that is itself wrong is missing here, and one complaint about it is enough.
        if not is_loopback(host) and info.data.get("admin_token", "wrong") is None:
            raise ValueError("is not a loopback address: set CATCHLIGHT_ADMIN_TOKEN, or listen on 127.0.0.1")
        return host

    @field_validator("hooks")
    @classmethod
    def _refuse_twins(cls, hooks: tuple[Hook, ...]) -> tuple[Hook, ...]:
        names = [hook.name for hook in hooks]
        twins = sorted({name for name in names if names.count(name) > 1})
        if twins:
            raise ValueError(f"two hooks are named {', '.join(twins)}: give each a name of its own")
        return hooks

    @property
    def origins(self) -> Mapping[str, str]:
        """Setting → `environment CATCHLIGHT_X` or the name of the file; what is not in it is a default."""
        return MappingProxyType(self._origins)

    @property
    def effective_storage_url(self) -> str:
        return self.storage_url or (self.data_dir.absolute() / "outputs").as_uri()

    @property
    def moderation_policy(self) -> Policy:
        return Policy(
            self.moderation_clean, self.moderation_flagged, self.moderation_unknown, overrides=self.moderation
        )

    def callback_url(self, source: str) -> str | None:
        """Where the provider shall call back; None while we have no public address."""
        return self.public_url and f"{self.public_url}/webhooks/{source}"

    def describe(self) -> list[SettingRow]:
        """One row per setting in the order of the table above; secrets masked, passwords in URLs too."""
        meanings = {name: field.description or "" for name, field in type(self).model_fields.items()}
        return rows(
            meanings, TABLES, Settings().model_dump(mode="json"), self.model_dump(mode="json"), self.origins
        )

    def require_webhook_secrets(self) -> None:
        if not self.webhook_secrets:
            raise ConfigError(
                "CATCHLIGHT_WEBHOOK_SECRETS: is not set, and without it no callback can be verified; "
                "set it to the secret of your provider account (several with commas between)"
            )

    def require_redis_url(self) -> str:
        """Only `up` and `demo` bring a server of their own."""
        if self.redis_url is None:
            raise ConfigError(
                "CATCHLIGHT_REDIS_URL: is not set. Set it to redis://host:port/0, or run `catchlight up`, "
                "which brings a server"
            )
        return self.redis_url

    def warnings(self) -> list[str]:
        """What is allowed and probably not meant: one sentence each, naming the setting."""
        return [*self._warnings_of_addresses(), *self._warnings_of_tokens(), *self._warnings_of_policies()]

    def _warnings_of_addresses(self) -> Iterator[str]:
        public, provider = urlsplit(self.public_url or ""), urlsplit(self.provider_url)
        if self.public_url is None:
            yield "CATCHLIGHT_PUBLIC_URL: is not set; submissions carry no callback address"
        if public.scheme == "http":
            yield "CATCHLIGHT_PUBLIC_URL: callbacks over http can be read on their way"
        if is_loopback(public.hostname or ""):
            yield "CATCHLIGHT_PUBLIC_URL: is a loopback address, which the provider cannot reach"
        if provider.scheme == "http" and not is_loopback(provider.hostname or ""):
            yield "CATCHLIGHT_PROVIDER_URL: over http the API key can be read on its way"
        for hook in self.hooks:
            if self._is_forbidden(urlsplit(hook.url).hostname or ""):
                yield f'[[hooks]] "{hook.name}": not a public address; see CATCHLIGHT_FETCH_PRIVATE'

    def _warnings_of_tokens(self) -> Iterator[str]:
        for name in ("admin_token", "viewer_token"):
            token = getattr(self, name)
            if token is not None and len(token) < _TOKEN_LEAST:
                yield (
                    f"CATCHLIGHT_{name.upper()}: has less than {_TOKEN_LEAST} characters and may be guessed; "
                    "`openssl rand -hex 32` makes a good one"
                )

    def _warnings_of_policies(self) -> Iterator[str]:
        for kind in ("flagged", "unknown"):
            if getattr(self, f"moderation_{kind}") is Action.RELEASE:
                yield f"CATCHLIGHT_MODERATION_{kind.upper()}: {kind} outputs are handed on without review"
        if "*" in self.fetch_hosts:
            yield "CATCHLIGHT_FETCH_HOSTS: outputs are fetched from any public host that a callback names"
        if self.deadline > _KEPT_BY_PROVIDER:
            yield "CATCHLIGHT_DEADLINE: is longer than the 7 days for which the provider keeps outputs"
        if self.metrics_open and not is_loopback(self.host):
            yield "CATCHLIGHT_METRICS_OPEN: everyone who reaches this host can read the metrics"

    def _is_forbidden(self, host: str) -> bool:
        """Of literal addresses and localhost only; what a name resolves to, `doctor` and the guard ask."""
        try:
            address = ip_address("127.0.0.1" if host == "localhost" else host)
        except ValueError:
            return False
        return not address.is_global and not any(address in network for network in self.fetch_private)
