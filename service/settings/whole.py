"""The settings as the others use them: what follows from the values together, and what is odd about them."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Self
from urllib.parse import urlsplit

from service.errors import ConfigError, InvalidInput
from service.moderation import Action, Policy
from service.settings.accounts import plain
from service.settings.fields import is_loopback
from service.settings.model import DEFAULT_SOURCE, TABLES, Fields
from service.settings.rows import SettingRow, rows
from service.settings.shards import home
from service.sources import Source

_KEPT_BY_PROVIDER = 7 * 86400
_TOKEN_LEAST = 16


class Settings(Fields):
    """One frozen value; `load` makes it."""

    @property
    def origins(self) -> Mapping[str, str]:
        """Setting → `environment CATCHLIGHT_X` or the name of the file; what is not in it is a default."""
        return MappingProxyType(self._origins)

    @property
    def effective_storage_url(self) -> str:
        return self.storage_url or (self.data_dir.absolute() / "outputs").as_uri()

    @property
    def file_retentions(self) -> dict[str, float | None]:
        """Seconds for each kind of file that is not handed on; None for ever."""
        return {"held": self.held_retention, "rejected": self.rejected_retention}

    @property
    def moderation_policy(self) -> Policy:
        return Policy(
            self.moderation_clean,
            self.moderation_flagged,
            self.moderation_unknown,
            overrides=self.moderation,
            of_sources={one.name: one.moderation for one in self.sources if one.moderation},
        )

    @property
    def accounts(self) -> tuple[Source, ...]:
        """All sources, the default one first."""
        default = Source(
            name=DEFAULT_SOURCE,
            path=f"/webhooks/{DEFAULT_SOURCE}",
            provider_url=self.provider_url,
            poll_rate=self.poll_rate,
            key=plain(self.wavespeed_api_key),
            secrets=tuple(secret.get_secret_value() for secret in self.webhook_secrets),
        )
        others = (
            Source(
                name=one.name,
                path=one.callback_path,
                provider_url=one.provider_url or self.provider_url,
                poll_rate=one.poll_rate or self.poll_rate,
                key=plain(one.key),
                secrets=tuple(secret.get_secret_value() for secret in one.secrets),
            )
            for one in self.sources
        )
        return (default, *others)

    @property
    def source_names(self) -> tuple[str, ...]:
        return (DEFAULT_SOURCE, *(one.name for one in self.sources))

    def account(self, name: str | None = None) -> Source:
        """The source of that name, or the default one. Raises InvalidInput for a name that nobody has."""
        found = next((one for one in self.accounts if one.name == (name or DEFAULT_SOURCE)), None)
        if found is None:
            raise InvalidInput(
                "source", f"there is no source {name}: declared are {', '.join(self.source_names)}"
            )
        return found

    @property
    def at_home(self) -> tuple[Source, ...]:
        """The sources whose new predictions come here: all, unless this is one of several shards.

        What a shard knows already of another's source it polls for to the end: that one has moved.
        """
        return tuple(one for one in self.accounts if self._is_at_home(one.name))

    def _is_at_home(self, source: str) -> bool:
        return self.shard is None or self.home_of(source) == self.shard

    def home_of(self, source: str) -> str | None:
        """The name of the shard that a source is at home on; None where there are none."""
        return home(source, self.shards).name if self.shards else None

    def account_at_home(self, name: str | None = None) -> Source:
        """As `account`, for what begins here. Raises InvalidInput for a source of another shard, too."""
        account = self.account(name)
        if not self._is_at_home(account.name):
            home_of_it = self.home_of(account.name)
            raise InvalidInput(
                "source", f"{account.name} is at home on the shard {home_of_it}, and this is {self.shard}"
            )
        return account

    def of_shard(self, name: str) -> Self:
        """As a process has them that works for that shard alone. Raises ConfigError for an unknown one."""
        names = [shard.name for shard in self.shards]
        if name not in names:
            raise ConfigError(f"there is no shard {name}: declared are {', '.join(names) or 'none'}")
        return self.model_copy(update={"shard": name})

    def callback_url(self, source: str | None = None) -> str | None:
        """Where the provider shall call back; None while we have no public address."""
        return self.public_url and f"{self.public_url}{self.account(source).path}"

    def describe(self) -> list[SettingRow]:
        """One row per setting in the order of the table above; secrets masked, passwords in URLs too."""
        meanings = {name: field.description or "" for name, field in type(self).model_fields.items()}
        return rows(
            meanings, TABLES, Settings().model_dump(mode="json"), self.model_dump(mode="json"), self.origins
        )

    def require_webhook_secrets(self) -> None:
        if not any(source.secrets for source in self.accounts):
            raise ConfigError(
                "CATCHLIGHT_WEBHOOK_SECRETS: is not set, and without it no callback can be verified; "
                "set it to the secret of your provider account (several with commas between)"
            )

    def require_redis_url(self) -> str:
        """Of the shard, where there are several. Only `up` and `demo` bring a server of their own."""
        if self.shards:
            return self._redis_of_shard()
        if self.redis_url is None:
            raise ConfigError(
                "CATCHLIGHT_REDIS_URL: is not set. Set it to redis://host:port/0, or run `catchlight up`, "
                "which brings a server"
            )
        return self.redis_url

    def _redis_of_shard(self) -> str:
        found = next((shard for shard in self.shards if shard.name == self.shard), None)
        if found is None:
            names = ", ".join(shard.name for shard in self.shards)
            raise ConfigError(
                f"CATCHLIGHT_SHARD: is not set, and there are several: {names}. Name one, or say "
                "`catchlight --shard NAME …`; `catchlight shards` tells which source is on which"
            )
        return found.redis_url

    def warnings(self) -> list[str]:
        """What is allowed and probably not meant: one sentence each, naming the setting."""
        return [
            *self._warnings_of_addresses(),
            *self._warnings_of_sources(),
            *self._warnings_of_tokens(),
            *self._warnings_of_policies(),
        ]

    def _warnings_of_addresses(self) -> Iterator[str]:
        public, provider = urlsplit(self.public_url or ""), urlsplit(self.provider_url)
        if self.public_url is None:
            yield "CATCHLIGHT_PUBLIC_URL: is not set; submissions carry no callback address"
        # A provider that is simulated on this very machine reaches what nobody else does.
        simulated = all(is_loopback(urlsplit(one.provider_url).hostname or "") for one in self.accounts)
        near = simulated and is_loopback(public.hostname or "")
        if public.scheme == "http" and not near:
            yield "CATCHLIGHT_PUBLIC_URL: callbacks over http can be read on their way"
        if is_loopback(public.hostname or "") and not simulated:
            yield "CATCHLIGHT_PUBLIC_URL: is a loopback address, which the provider cannot reach"
        if provider.scheme == "http" and not is_loopback(provider.hostname or ""):
            yield "CATCHLIGHT_PROVIDER_URL: over http the API key can be read on its way"
        for hook in self.hooks:
            if self._is_forbidden(urlsplit(hook.url).hostname or ""):
                yield f'[[hooks]] "{hook.name}": not a public address; see CATCHLIGHT_FETCH_PRIVATE'

    def _warnings_of_sources(self) -> Iterator[str]:
        for source in self.sources:
            if not source.secrets:
                yield f'[[sources]] "{source.name}": has no secrets, so that all its callbacks are refused'
            if source.key is None:
                yield f'[[sources]] "{source.name}": has no key, so that nothing of it is polled or submitted'
        taken = {self.home_of(name) for name in self.source_names}
        for shard in self.shards:
            if shard.name not in taken:
                yield f'[[shards]] "{shard.name}": no source is at home there; give it one with `sources`'

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
