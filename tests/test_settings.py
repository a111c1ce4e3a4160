"""Settings: where they come from, what may be written, what follows from it, and how they are shown."""

from __future__ import annotations

import copy
import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from service.errors import ConfigError
from service.moderation import Action, Override, Policy
from service.prediction import Nsfw
from service.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[str], Path]

CRM = '[[hooks]]\nname = "crm"\nurl = "https://crm.example/hooks"\nsecret = "whsec_c2VjcmV0"\n'
CANARY = "geheim-canary"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the catchlight.toml of whoever runs it."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "catchlight.toml"
        path.write_text(text, "utf-8")
        return path

    return written


def from_env(**variables: str) -> Settings:
    return load({f"CATCHLIGHT_{name.upper()}": value for name, value in variables.items()})


CONTRACT = {
    "redis_url": None,
    "storage_url": None,
    "held_storage_url": None,
    "disk_free": None,
    "data_dir": Path(".catchlight"),
    "retention": 30 * 86400,
    "held_retention": None,
    "rejected_retention": None,
    "payload_retention": None,
    "refused_retention": 30 * 86400,
    "compact_after": 3600,
    "public_url": None,
    "webhook_secrets": (),
    "provider_url": "https://api.wavespeed.ai/api/v3",
    "wavespeed_api_key": None,
    "admin_token": None,
    "viewer_token": None,
    "environment": None,
    "host": "127.0.0.1",
    "port": 8080,
    "metrics_open": False,
    "max_body": 8 << 20,
    "fetch_hosts": ("*.cloudfront.net", "*.wavespeed.ai"),
    "fetch_private": (),
    "fetch_timeout": 600,
    "fetch_idle": 15,
    "fetch_max_bytes": None,
    "fetch_in_flight": 512 << 20,
    "fetch_per_host": 128,
    "fetch_schedule": (2, 10, 60, 300, 1800, 7200),
    "concurrency": 64,
    "lease": 12,
    "grace": 10,
    "poll_after": 60,
    "poll_max": 60,
    "poll_rate": 20,
    "deadline": 6 * 86400,
    "reconcile_every": 300,
    "urgent_within": 86_400.0,
    "drift_after": 10,
    "breaker_probe": 30,
    "hook_schedule": (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
    "log_level": "info",
    "log_format": "auto",
    "no_color": False,
    "failpoints": None,
    "moderation_clean": Action.RELEASE,
    "moderation_flagged": Action.HOLD,
    "moderation_unknown": Action.HOLD,
    "nsfw_opinion": "off",
    "nsfw_threshold": 0.8,
    "review_reasons": (
        "nudity",
        "sexual",
        "minors",
        "violence",
        "hate",
        "real person",
        "trademark",
        "broken",
        "off brief",
    ),
    "moderation": (),
    "hooks": (),
    "sources": (),
    "shards": (),
    "shard": None,
}


def test_the_defaults_are_those_of_the_contract() -> None:
    assert dict(load({})) == CONTRACT
    assert dict(Settings()) == CONTRACT


def test_the_environment_beats_the_file_and_the_file_beats_the_default(write: Write) -> None:
    config = write('lease = "20s"\ngrace = 30\n')
    settings = load({"CATCHLIGHT_LEASE": "40s"}, config)
    assert (settings.lease, settings.grace, settings.poll_max) == (40, 30, 60)
    assert dict(settings.origins) == {"lease": "environment CATCHLIGHT_LEASE", "grace": str(config)}


def test_without_arguments_the_process_environment_and_the_folder_are_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("concurrency = 3\n")
    monkeypatch.setenv("CATCHLIGHT_GRACE", "7s")
    settings = load()
    assert (settings.concurrency, settings.grace) == (3, 7)
    assert settings.origins["concurrency"] == "catchlight.toml"


def test_a_file_can_be_named_by_the_environment_and_an_argument_beats_that(
    tmp_path: Path, write: Write
) -> None:
    write("concurrency = 1")
    named, argument = tmp_path / "named.toml", tmp_path / "argument.toml"
    named.write_text("concurrency = 2")
    argument.write_text("concurrency = 3")
    assert load({"CATCHLIGHT_CONFIG": str(named)}).concurrency == 2
    assert load({"CATCHLIGHT_CONFIG": str(named)}, argument).concurrency == 3


def test_some_variables_count_without_the_prefix_and_less_than_with_it() -> None:
    plain = {"REDIS_URL": "redis://a:1/0", "WAVESPEED_API_KEY": "key-a", "PORT": "1", "NO_COLOR": "0"}
    settings = load(plain)
    assert (settings.redis_url, settings.port, settings.no_color) == ("redis://a:1/0", 1, True)
    assert settings.wavespeed_api_key == SecretStr("key-a")
    assert settings.origins["port"] == "environment PORT"
    prefixed = {
        f"CATCHLIGHT_{name}": value.replace("a", "b").replace("1", "2") for name, value in plain.items()
    }
    settings = load({**prefixed, **plain})
    assert (settings.redis_url, settings.port, settings.no_color) == ("redis://b:2/0", 2, False)
    assert settings.wavespeed_api_key == SecretStr("key-b")


def test_variables_of_others_are_left_alone() -> None:
    """Empty ones among those that we share, too: `NO_COLOR=` is how one unsets it."""
    others = {
        "AWS_ACCESS_KEY_ID": "a",
        "LEASE": "1",
        "HTTP_PROXY": "http://x",
        "NO_COLOR": "",
        "PORT": "",
        "HOST": "h",
    }
    assert dict(load(others)) == CONTRACT


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("lease", "1500ms", 1.5),
        ("grace", " 0 ", 0),
        ("reconcile_every", "0", 0),
        ("poll_rate", "0.5/s", 0.5),
        ("max_body", "64KiB", 65536),
        ("disk_free", "5GiB", 5 << 30),
        ("fetch_max_bytes", "1GiB", 1 << 30),
        ("fetch_in_flight", "64MiB", 64 << 20),
        ("fetch_per_host", "1", 1),
        ("fetch_schedule", "1s, 2s", (1, 2)),
        ("fetch_hosts", "CDN.example, *.cdn.example", ("cdn.example", "*.cdn.example")),
        ("fetch_hosts", "127.0.0.1,[::1],2001:DB8::0", ("127.0.0.1", "::1", "2001:db8::")),
        ("fetch_hosts", "*", ("*",)),
        ("fetch_private", "", ()),
        ("fetch_private", "10.0.0.0/8, ::1", (ip_network("10.0.0.0/8"), ip_network("::1"))),
        ("webhook_secrets", "whsec_a, b", (SecretStr("whsec_a"), SecretStr("b"))),
        ("public_url", "https://hooks.example/base/", "https://hooks.example/base"),
        ("provider_url", "http://127.0.0.1:9/api/v3", "http://127.0.0.1:9/api/v3"),
        ("redis_url", "unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("redis_url", "rediss://user:pw@host:6380/0", "rediss://user:pw@host:6380/0"),
        ("storage_url", "s3://bucket/prefix", "s3://bucket/prefix"),
        ("held_storage_url", "file:///srv/held", "file:///srv/held"),
        ("port", "0", 0),
        ("host", "::1", "::1"),
        ("host", "localhost", "localhost"),
        ("metrics_open", "yes", True),
        ("log_level", "DEBUG", "debug"),
        ("retention", "7d", 7 * 86400),
        ("compact_after", "0s", 0),
        ("moderation_flagged", "drop", Action.DROP),
    ],
)
def test_a_variable_is_read_as(name: str, written: str, value: object) -> None:
    assert getattr(from_env(**{name: written}), name) == value


def test_the_file_may_use_its_own_kinds_of_values(write: Write) -> None:
    settings = load(
        {},
        write("""
            lease = 2.5
            port = 9000
            metrics_open = true
            fetch_schedule = ["1s", 2]
            fetch_hosts = ["a.example", "b.example"]
            fetch_private = ["10.0.0.0/8"]
            webhook_secrets = ["whsec_a"]
        """),
    )
    assert (settings.lease, settings.port, settings.metrics_open) == (2.5, 9000, True)
    assert (settings.fetch_schedule, settings.fetch_hosts) == ((1, 2), ("a.example", "b.example"))
    assert (settings.fetch_private, len(settings.webhook_secrets)) == ((ip_network("10.0.0.0/8"),), 1)


def test_tables_of_the_file_become_hooks_and_overrides(write: Write) -> None:
    settings = load(
        {"CATCHLIGHT_MODERATION_UNKNOWN": "drop"},
        write(f'{CRM}events = ["prediction.*"]\n[[moderation]]\nmodel = "acme/*"\nflagged = "release"\n'),
    )
    assert [(hook.name, hook.events) for hook in settings.hooks] == [("crm", ("prediction.*",))]
    assert settings.moderation == (Override("acme/*", flagged=Action.RELEASE),)
    assert settings.moderation_policy == Policy(unknown=Action.DROP, overrides=settings.moderation)
    assert settings.moderation_policy.action("acme/flux", Nsfw.FLAGGED) is Action.RELEASE


def test_a_home_folder_may_be_abbreviated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert from_env(data_dir="~/catchlight").data_dir == Path("/home/someone/catchlight")


def test_outputs_go_under_the_data_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert from_env(data_dir="data").effective_storage_url == f"file://{tmp_path}/data/outputs"
    assert from_env(storage_url="s3://bucket/x").effective_storage_url == "s3://bucket/x"


def test_the_callback_url_needs_a_public_address() -> None:
    assert load({}).callback_url() is None
    assert (
        from_env(public_url="https://hooks.example/").callback_url()
        == "https://hooks.example/webhooks/wavespeed"
    )


def test_only_serve_asks_for_the_webhook_secrets() -> None:
    from_env(webhook_secrets="whsec_a").require_webhook_secrets()
    with pytest.raises(ConfigError, match="CATCHLIGHT_WEBHOOK_SECRETS: is not set"):
        load({}).require_webhook_secrets()


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, []),
        ({"public_url": "http://hooks.example"}, ["PUBLIC_URL"]),
        ({"public_url": "https://localhost:8443"}, ["PUBLIC_URL"]),
        ({"public_url": "http://127.0.0.1:8080"}, ["PUBLIC_URL", "PUBLIC_URL"]),
        ({"provider_url": "http://provider.example"}, ["PROVIDER_URL"]),
        ({"provider_url": "http://127.0.0.1:9"}, []),
        ({"moderation_unknown": "release"}, ["MODERATION_UNKNOWN"]),
        ({"moderation_flagged": "release"}, ["MODERATION_FLAGGED"]),
        ({"public_url": "http://127.0.0.1:8080", "provider_url": "http://127.0.0.1:9/api/v3"}, []),
        ({"public_url": "http://hooks.example", "provider_url": "http://127.0.0.1:9/api/v3"}, ["PUBLIC_URL"]),
        ({"fetch_hosts": "*"}, ["FETCH_HOSTS"]),
        ({"deadline": "8d"}, ["DEADLINE"]),
        ({"metrics_open": "true"}, []),
        ({"metrics_open": "true", "host": "::", "admin_token": "t" * 16}, ["METRICS_OPEN"]),
        ({"admin_token": "t" * 15}, ["ADMIN_TOKEN"]),
        ({"admin_token": "t" * 16, "viewer_token": "v" * 15}, ["VIEWER_TOKEN"]),
        ({"admin_token": "t", "viewer_token": "v"}, ["ADMIN_TOKEN", "VIEWER_TOKEN"]),
    ],
)
def test_what_is_allowed_and_probably_not_meant_is_warned_of(
    changes: dict[str, str], warned: list[str]
) -> None:
    settings = from_env(**{"public_url": "https://hooks.example"} | changes)
    assert [line.partition(":")[0] for line in settings.warnings()] == [
        f"CATCHLIGHT_{name}" for name in warned
    ]


def test_without_a_public_url_a_warning_says_what_that_costs() -> None:
    assert load({}).warnings() == ["CATCHLIGHT_PUBLIC_URL: is not set; submissions carry no callback address"]


@pytest.mark.parametrize(
    ("url", "private", "warns"),
    [
        ("https://crm.example/", "", False),
        ("https://93.184.215.14/", "", False),
        ("http://127.0.0.1:9/", "", True),
        ("http://localhost:9/", "", True),
        ("http://[fd00::1]/", "10.0.0.0/8", True),
        ("http://10.1.2.3/", "10.0.0.0/8", False),
    ],
)
def test_a_hook_at_a_forbidden_address_is_warned_of(
    write: Write, url: str, private: str, warns: bool
) -> None:
    config = write(f'public_url = "https://a.example"\n{CRM.replace("https://crm.example/hooks", url)}')
    warnings = load({"CATCHLIGHT_FETCH_PRIVATE": private}, config).warnings()
    assert [line.partition(":")[0] for line in warnings] == (['[[hooks]] "crm"'] if warns else [])


def test_every_setting_has_a_row_with_its_meaning() -> None:
    rows = {row.name: row for row in load({}).describe()}
    assert list(rows) == list(Settings.model_fields)
    assert all(row.meaning and row.default == row.value and row.origin == "default" for row in rows.values())
    assert rows["fetch_schedule"].default == "2s,10s,1m,5m,30m,2h"
    assert rows["redis_url"].default == "embedded (in `up`, `demo`)"
    assert (rows["lease"].variable, rows["hooks"].variable) == ("CATCHLIGHT_LEASE", None)


def test_a_row_shows_the_effective_value_and_where_it_comes_from(write: Write) -> None:
    config = write(f"lease = 20\n{CRM}[[moderation]]\nmodel = 'a/*'\nclean = 'hold'\n")
    settings = load({"PORT": "9000", "CATCHLIGHT_FETCH_PRIVATE": "10.0.0.0/8,::1"}, config)
    shown = {row.name: (row.default, row.value, row.origin) for row in settings.describe()}
    assert shown["lease"] == ("12s", "20s", str(config))
    assert shown["port"] == ("8080", "9000", "environment PORT")
    assert shown["fetch_private"] == ("none", "10.0.0.0/8,::1/128", "environment CATCHLIGHT_FETCH_PRIVATE")
    assert (shown["hooks"][1], shown["moderation"][1]) == ("crm", "a/*")


def test_secrets_are_shown_by_their_length_only(write: Write) -> None:
    settings = load(
        {
            "CATCHLIGHT_WEBHOOK_SECRETS": f"whsec_{CANARY},{CANARY}",
            "CATCHLIGHT_ADMIN_TOKEN": CANARY,
            "CATCHLIGHT_VIEWER_TOKEN": f"{CANARY}-2",
            "WAVESPEED_API_KEY": CANARY,
            "REDIS_URL": f"redis://:{CANARY}@host/0?password={CANARY}",
            "CATCHLIGHT_PUBLIC_URL": f"https://user:{CANARY}@hooks.example",
        },
        write(f"{CRM.replace('crm.example', f'u:{CANARY}@crm.example')}"),
    )
    values = {row.name: row.value for row in settings.describe()}
    assert values["webhook_secrets"] == "whsec_…(19 characters),…(13 characters)"
    assert values["redis_url"] == "redis://:…@host/0?…"
    for shown in (
        str(values),
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.hooks),
    ):
        assert CANARY not in shown
        assert "c2VjcmV0" not in shown


def test_settings_are_frozen_and_can_be_copied_with_changes() -> None:
    settings = from_env(lease="20s")
    with pytest.raises(ValidationError):
        settings.lease = 5
    changed = copy.deepcopy(settings).model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    assert (changed.redis_url, changed.lease, changed.origins) == (
        "redis://127.0.0.1:1/0",
        20,
        settings.origins,
    )


def test_the_words_of_a_meaning_fit_a_table() -> None:
    for row in load({}).describe():
        assert not re.search(r"[|\n]", row.meaning), row.name
        assert len(row.meaning) <= 110, row.name
