"""Every setting: its name, its default and what it means; `Settings` adds what follows from the values.

An attribute `x` is `CATCHLIGHT_X` in the environment and `x` in catchlight.toml.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from service.hooks import Hook
from service.moderation import Action
from service.settings.accounts import Declared
from service.settings.fields import (
    Directory,
    Duration,
    Format,
    Hosts,
    HttpUrl,
    Level,
    Networks,
    Rate,
    Reasons,
    RedisUrl,
    Rule,
    Schedule,
    Secret,
    Secrets,
    Size,
    StorageUrl,
    Whole,
    at_least,
    at_most,
    is_loopback,
    longer_than,
)
from service.settings.shards import Shard, checked

UNPREFIXED = ("redis_url", "wavespeed_api_key", "port", "no_color")
"""Settings that are also honoured without `CATCHLIGHT_` in front."""
TABLES = ("hooks", "sources", "shards", "moderation")
"""Settings that only the file can hold."""
DEFAULT_SOURCE = "wavespeed"
"""The account of the unprefixed variables."""
_EMPTY_MEANS_NONE = "fetch_private"


def setting(default: Any, meaning: str) -> Any:
    return Field(default, description=meaning, validate_default=True)


class Fields(BaseModel):
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
    held_retention: Annotated[Duration, longer_than("0s")] | None = setting(
        None, "How long a held file stays that nobody has decided about; not set = for ever"
    )
    rejected_retention: Annotated[Duration, longer_than("0s")] | None = setting(
        None, "How long a rejected file stays after its rejection; not set = for ever"
    )
    payload_retention: Annotated[Duration, longer_than("0s")] | None = setting(
        None, "How long what the provider said stays after the end, its outputs apart; not set = for ever"
    )
    refused_retention: Annotated[Duration, longer_than("0s"), at_most("30d")] = setting(
        "30d", "How long a callback that was turned away stays in the list, which has the last 1,000"
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
    environment: Annotated[str, Field(max_length=24)] | None = setting(
        None, "A word that the dashboard shows on every page, such as `staging`"
    )
    metrics_open: bool = setting(False, "`/metrics` without the token")
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
    poll_rate: Rate = setting("20/s", "Requests to the provider per second over all polls of one source")
    deadline: Annotated[Duration, longer_than("0s")] = setting(
        "6d", "An awaited prediction older than this is expired"
    )
    reconcile_every: Duration = setting(
        "5m", "How often the provider's list is compared with the ledger; 0 = off"
    )
    urgent_within: Duration = setting(
        "1d",
        "Predictions whose outputs the provider deletes within this, 7 days after it created them, go first; "
        "0 = none",
    )
    drift_after: Annotated[Whole, Field(ge=0)] = setting(
        10,
        "So many signatures of a source that fail in a row, and its secret is compared with the provider's; "
        "0 = never",
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
    nsfw_opinion: Literal["off", "show", "hold"] = setting(
        "off",
        "A small model's opinion on images: `off`, `show` it in the review, or `hold` by it; an extra",
    )
    nsfw_threshold: Annotated[float, Field(gt=0, le=1)] = setting(
        0.8, "From this score on, of 0 to 1, that opinion makes an image flagged"
    )
    review_reasons: Reasons = setting(
        "nudity,sexual,minors,violence,hate,real person,trademark,broken,off brief",
        "Reasons that the review page offers, with commas between; at most nine, for the keys 1 to 9",
    )
    moderation: tuple[Rule, ...] = setting(
        (),
        "`[[moderation]]`: other policies for models that match a glob; the first that names a class counts",
    )
    hooks: tuple[Hook, ...] = setting((), "`[[hooks]]`: whom we tell")
    sources: tuple[Declared, ...] = setting((), "`[[sources]]`: more provider accounts")
    shards: tuple[Shard, ...] = setting((), "`[[shards]]`: several Redis primaries, each with some sources")
    shard: str | None = setting(None, "Of several shards, the one that this process works for; all otherwise")

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

    @field_validator("held_retention", "rejected_retention", "payload_retention")
    @classmethod
    def _guard_what_the_ledger_knows(cls, seconds: float | None, info: ValidationInfo) -> float | None:
        if seconds is not None and seconds >= info.data.get("retention", seconds + 1):
            raise ValueError("must be less than CATCHLIGHT_RETENTION: what the ledger forgets nobody deletes")
        return seconds

    @field_validator("hooks")
    @classmethod
    def _refuse_twins(cls, hooks: tuple[Hook, ...]) -> tuple[Hook, ...]:
        names = [hook.name for hook in hooks]
        twins = sorted({name for name in names if names.count(name) > 1})
        if twins:
            raise ValueError(f"two hooks are named {', '.join(twins)}: give each a name of its own")
        return hooks

    @field_validator("sources")
    @classmethod
    def _refuse_twin_sources(cls, sources: tuple[Declared, ...]) -> tuple[Declared, ...]:
        names = [DEFAULT_SOURCE, *(source.name for source in sources)]
        paths = [f"/webhooks/{DEFAULT_SOURCE}", *(source.callback_path for source in sources)]
        if DEFAULT_SOURCE in names[1:]:
            raise ValueError(
                f"{DEFAULT_SOURCE} is the source of WAVESPEED_API_KEY and CATCHLIGHT_WEBHOOK_SECRETS: "
                "set those, or choose another name"
            )
        if twins := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two sources are named {', '.join(twins)}: give each a name of its own")
        if twins := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"two sources have the path {', '.join(twins)}: give each one of its own")
        return sources

    @field_validator("shards")
    @classmethod
    def _refuse_odd_shards(cls, shards: tuple[Shard, ...], info: ValidationInfo) -> tuple[Shard, ...]:
        if shards and info.data.get("redis_url"):
            raise ValueError("CATCHLIGHT_REDIS_URL is set too, and both say where Redis is: remove one")
        known = {DEFAULT_SOURCE, *(source.name for source in info.data.get("sources", ()))}
        for shard in shards:
            if strangers := sorted(set(shard.sources) - known):
                raise ValueError(f"{shard.name} has the source {', '.join(strangers)}, which is not declared")
        return tuple(checked(shards))

    @field_validator("shard")
    @classmethod
    def _refuse_unknown_shard(cls, shard: str | None, info: ValidationInfo) -> str | None:
        names = [one.name for one in info.data.get("shards", ())]
        if shard is not None and "shards" in info.data and shard not in names:
            raise ValueError(f"there is no shard {shard}: [[shards]] are {', '.join(names) or 'none'}")
        return shard
