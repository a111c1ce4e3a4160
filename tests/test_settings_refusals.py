"""What is refused in settings: every refusal names the setting as it was written, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from service.errors import ConfigError
from service.settings import Settings, load
from service.settings.model import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str], Path]

CRM = '[[hooks]]\nname = "crm"\nurl = "https://crm.example/hooks"\nsecret = "whsec_c2VjcmV0"\n'
STREAM = "[[hooks]]\nname = 'lake'\nkind = 'redis-stream'\n"
UNSIGNED = "[[hooks]]\nname = 'plain'\nurl = 'https://plain.example'"
RULE = "[[moderation]]\n"
ANYWHERE = "0.0.0.0"  # noqa: S104 - to be refused without a token
CANARY = "geheim-canary"
NEVER_EMPTY = sorted(set(Settings.model_fields) - {"fetch_private", *TABLES})


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


def refusal(environ: dict[str, str] | None = None, config: Path | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        load(environ or {}, config)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "written", "says"),
    [
        ("lease", "1s", "must be longer than 1s"),
        ("lease", "soon", "'soon' is not a duration: write seconds, or 500ms, 30s, 5m, 2h, 1d"),
        ("fetch_timeout", "0", "must be longer than 0s"),
        ("deadline", "0s", "must be longer than 0s"),
        ("retention", "6d", "must be at least 7d"),
        ("poll_rate", "0", "is not a rate"),
        ("max_body", "8MB", "is not a size"),
        ("fetch_schedule", "1s,,2s", "is not a schedule"),
        ("fetch_in_flight", "0", "is not a size"),
        ("fetch_in_flight", "512MB", "is not a size"),
        ("fetch_per_host", "0", "must be greater than or equal to 1"),
        ("fetch_per_host", "all", "must be a whole number"),
        ("concurrency", "0", "must be greater than or equal to 1"),
        ("concurrency", "many", "must be a whole number"),
        ("port", "65536", "must be less than or equal to 65535"),
        ("metrics_open", "perhaps", "must be true or false"),
        ("log_level", "loud", "must be 'debug', 'info', 'warning', 'error' or 'critical'"),
        ("moderation_clean", "keep", "must be 'release', 'hold' or 'drop'"),
        ("fetch_hosts", "https://cdn.example", "is not a host: write host.example, *.domain.example or *"),
        ("fetch_hosts", "cdn.example:8443", "is not a host"),
        ("fetch_hosts", "cdn.*", "is not a host"),
        ("fetch_hosts", "**.cdn.example", "is not a host"),
        ("fetch_hosts", "a.example,,b.example", "has an empty entry: remove the comma"),
        ("fetch_private", "10.1.2.3/8", "did you mean 10.0.0.0/8?"),
        ("fetch_private", "localhost", "'localhost' is not a network: write it like 10.0.0.0/8 or fd00::/8"),
        ("public_url", "hooks.example", "must be an absolute http:// or https:// URL"),
        ("public_url", "ftp://hooks.example", "must be an absolute http:// or https:// URL"),
        ("public_url", "https://hooks.example/?a=b", "must end with its path"),
        (
            "redis_url",
            "localhost:6379",
            "must be a URL: redis://host:port/db or rediss://host:port/db or unix:///path",
        ),
        ("redis_url", "redis://", "must be a URL"),
        ("redis_url", "redis://host:none/0", "must be a URL"),
        ("storage_url", "/srv/outputs", "must be a URL: file:///path or s3://bucket/prefix"),
        ("storage_url", "file://srv/outputs", "must be a URL: file:///path"),
        ("storage_url", "ftp://host/outputs", "must be a URL"),
        ("webhook_secrets", "whsec_", "holds an empty secret"),
        ("webhook_secrets", "a,", "has an empty entry"),
        ("webhook_secrets", "a b", "holds a secret with a blank or a letter outside ASCII: copy it again"),
        ("admin_token", "tökén", "holds a secret with a blank or a letter outside ASCII"),
        *((name, "", "is empty: give it a value or remove it") for name in NEVER_EMPTY),
        ("host", ANYWHERE, "is not a loopback address: set CATCHLIGHT_ADMIN_TOKEN, or listen on 127.0.0.1"),
        ("host", "catchlight.example", "is not a loopback address"),
        ("hooks", "crm", "belongs in the file, as [[hooks]]"),
        ("moderation", "drop", "belongs in the file, as [[moderation]]"),
    ],
)
def test_a_refusal_names_the_variable_and_what_to_do(name: str, written: str, says: str) -> None:
    variable = f"CATCHLIGHT_{name.upper()}"
    message = refusal({variable: written})
    assert message.startswith(f"{variable}: ")
    assert says in message


def test_another_host_than_loopback_is_fine_with_a_token() -> None:
    assert load({"CATCHLIGHT_HOST": ANYWHERE, "CATCHLIGHT_ADMIN_TOKEN": "t"}).host == ANYWHERE


def test_a_viewers_token_stands_beside_another_one_for_the_admin() -> None:
    alone = refusal({"CATCHLIGHT_VIEWER_TOKEN": "v"})
    assert alone.startswith("CATCHLIGHT_VIEWER_TOKEN: needs CATCHLIGHT_ADMIN_TOKEN beside it")
    twice = refusal({"CATCHLIGHT_ADMIN_TOKEN": CANARY, "CATCHLIGHT_VIEWER_TOKEN": CANARY})
    assert twice.startswith("CATCHLIGHT_VIEWER_TOKEN: is the admin token too, which may change things")
    assert CANARY not in twice
    both = load({"CATCHLIGHT_ADMIN_TOKEN": "a", "CATCHLIGHT_VIEWER_TOKEN": "v"})
    assert both.viewer_token
    assert both.viewer_token.get_secret_value() == "v"


def test_a_refusal_names_the_unprefixed_variable_when_that_was_used() -> None:
    assert refusal({"PORT": "http"}) == "PORT: must be a whole number"


def test_a_wrong_token_is_one_complaint_not_two() -> None:
    message = refusal(
        {"CATCHLIGHT_HOST": ANYWHERE, "CATCHLIGHT_ADMIN_TOKEN": "", "CATCHLIGHT_VIEWER_TOKEN": "v"}
    )
    assert message == "CATCHLIGHT_ADMIN_TOKEN: is empty: give it a value or remove it"


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("CATCHLIGHT_LEESE", "CATCHLIGHT_LEASE"),
        ("CATCHLIGHT_WEBHOOK_SECRET", "CATCHLIGHT_WEBHOOK_SECRETS"),
        ("CATCHLIGHT_CONFIGURATION", "CATCHLIGHT_CONFIG"),
        ("CATCHLIGHT_lease", "CATCHLIGHT_LEASE"),
        ("CATCHLIGHT_", "CATCHLIGHT_"),
    ],
)
def test_an_unknown_variable_names_the_nearest_right_one(variable: str, nearest: str) -> None:
    assert refusal({variable: CANARY}).startswith(
        f"{variable}: is unknown; the nearest right one is {nearest}"
    )


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("leese = 5", "leese", "is unknown; the nearest right one is lease"),
        ("CATCHLIGHT_PORT = 5", "CATCHLIGHT_PORT", "is unknown; the nearest right one is port"),
        ("lease = true", "lease", "True is not a duration"),
        ("concurrency = true", "concurrency", "must be a whole number"),
        ("port = 80.5", "port", "must be a whole number"),
        ("host = 5", "host", "must be text in quotes"),
        ("fetch_private = [10]", "fetch_private", "'10' is not a network"),
        ("fetch_hosts = []", "fetch_hosts", "must name at least one host; * allows every public one"),
        ("fetch_hosts = 5", "fetch_hosts", "must be text with commas between, or a list"),
        ("webhook_secrets = [5]", "webhook_secrets", "holds an empty secret"),
        ("[hooks]\nname = 'a'", "hooks", "must be written as [[hooks]] tables"),
        ("moderation = [5]", "moderation", "must be written as [[moderation]] tables"),
        (f"{CRM}secrets = 5", 'secrets of [[hooks]] "crm"', "is unknown; the nearest right one is secret"),
        (f"{CRM}rate = 'fast'", 'rate of [[hooks]] "crm"', "'fast' is not a rate"),
        (f"{CRM}timeout = 0", 'timeout of [[hooks]] "crm"', "must be longer than 0 s"),
        (CRM.replace("whsec_c", "whsec_!"), 'secret of [[hooks]] "crm"', "must be whsec_ and base64"),
        (CRM.replace('"crm"', '"C R M"'), 'name of [[hooks]] "C R M"', "must be 1 to 64 of a-z"),
        (f"{CRM}{UNSIGNED}", 'secret of [[hooks]] "plain"', "is required"),
        ("[[hooks]]\nurl = 'https://b'\nsecret = 'whsec_YWJj'", "name of [[hooks]] 1", "is required"),
        (
            f"{CRM}kind = 'command'",
            'kind of [[hooks]] "crm"',
            "must be webhook or redis-stream: we run no commands",
        ),
        (
            f"{STREAM}stream = 's'\nurl = 'https://a'",
            'url of [[hooks]] "lake"',
            "is for a hook of kind webhook",
        ),
        (f"{CRM}stream = 'lake'", 'stream of [[hooks]] "crm"', "is for a hook of kind redis-stream"),
        (f"{CRM}maxlen = 5", 'maxlen of [[hooks]] "crm"', "is for a hook of kind redis-stream"),
        (f"{STREAM}", 'stream of [[hooks]] "lake"', "is required"),
        (f"{STREAM}stream = 'La ke'", 'stream of [[hooks]] "lake"', "must be 1 to 64 of a-z"),
        (
            f"{STREAM}stream = 's'\nmaxlen = 0",
            'maxlen of [[hooks]] "lake"',
            "must be greater than or equal to 1",
        ),
        (f"{STREAM}stream = 's'\nmax_age = 0", 'max_age of [[hooks]] "lake"', "must be at least 1 s"),
        (
            f"{STREAM}stream = 's'\nsecret = 'whsec_YWJj'",
            'secret of [[hooks]] "lake"',
            "is for a hook of kind webhook",
        ),
        (
            f"{STREAM}stream = 's'\nheaders = {{ a = 'b' }}",
            'headers of [[hooks]] "lake"',
            "is for a hook of kind",
        ),
        (f"{CRM}headers = 5", 'headers of [[hooks]] "crm"', "must be a table"),
        (f"{CRM}nsfw = ['dirty']", 'nsfw of [[hooks]] "crm"', "must be 'clean', 'unknown' or 'flagged'"),
        *(
            (f"{CRM}headers = {{ x-key = {reference} }}", 'headers of [[hooks]] "crm"', why)
            for reference, why in (
                (
                    "{ env = 'NOBODY_SETS_THIS' }",
                    "x-key names the variable NOBODY_SETS_THIS, which is not set",
                ),
                ("{ env = 'CATCHLIGHT_KEY' }", "x-key names CATCHLIGHT_KEY: take a variable"),
                ("{ file = '/nowhere/key' }", "x-key names /nowhere/key, which cannot be read (No such file"),
                (
                    "{ file = '/nowhere', env = 'A' }",
                    'x-key must be text, { env = "NAME" } or { file = "/path" }',
                ),
                ("{}", "x-key must be text"),
                ("'a\\r\\nb'".replace("'", '"'), "x-key must have 1 to 4096 characters of ASCII on one line"),
            )
        ),
        (CRM * 2, "hooks", "two hooks are named crm: give each a name of its own"),
        (f"{RULE}model = 'a/*'", '[[moderation]] "a/*"', "changes nothing: set clean, flagged or unknown"),
        (f"{RULE}model = ''\nclean = 'hold'", '[[moderation]] ""', "needs a model"),
        (f"{RULE}clean = 'hold'", "model of [[moderation]] 1", "is required"),
        (f"{RULE}model = 'a'\nclean = 'keep'", 'clean of [[moderation]] "a"', "must be 'release', 'hold' or"),
        (
            f"{RULE}model = 'a'\nclean = 'hold'\nclear = 'hold'",
            'clear of [[moderation]] "a"',
            "is unknown; the",
        ),
    ],
)
def test_a_refusal_names_the_key_in_the_file_and_what_to_do(
    write: Write, text: str, where: str, says: str
) -> None:
    config = write(text)
    assert refusal({}, config).startswith(f"{where} in {config}: {says}")


def test_a_named_file_must_be_there_and_be_toml(tmp_path: Path, write: Write) -> None:
    missing = refusal({"CATCHLIGHT_CONFIG": "nowhere.toml"})
    assert missing.startswith("CATCHLIGHT_CONFIG=nowhere.toml: cannot be read (No such file or directory)")
    assert "cannot be read" in refusal({}, tmp_path)
    assert "is not valid TOML" in refusal({}, write("lease: 5"))
    (tmp_path / "catchlight.toml").write_bytes(b"\xff\xfe")
    assert refusal().startswith("catchlight.toml: is not valid TOML")


def test_everything_wrong_is_said_at_once(write: Write) -> None:
    config = write("leese = 5\ngrace = 'x'\n[[hooks]]\nname = 'crm'\n")
    lines = refusal({"CATCHLIGHT_LEASE": "0", "CATCHLIGHT_PROT": "1"}, config).splitlines()
    assert lines[0] == "6 settings are wrong:"
    named = [line.strip().partition(":")[0].removesuffix(f" in {config}") for line in lines[1:]]
    crm = '[[hooks]] "crm"'
    assert sorted(named) == sorted(
        ["CATCHLIGHT_LEASE", "CATCHLIGHT_PROT", "leese", "grace", f"url of {crm}", f"secret of {crm}"]
    )


def test_no_refusal_quotes_a_secret(write: Write) -> None:
    secretive = f"{CANARY} ä"
    environ = {
        f"CATCHLIGHT_{name}": secretive
        for name in (
            "WEBHOOK_SECRETS",
            "ADMIN_TOKEN",
            "VIEWER_TOKEN",
            "WAVESPEED_API_KEY",
            "REDIS_URL",
            "STORAGE_URL",
            "PUBLIC_URL",
        )
    }
    config = write(f'secret = "{CANARY}"\n[[hooks]]\nname = "crm"\nurl = "{CANARY}"\nsecret = "{CANARY}"\n')
    with pytest.raises(ConfigError) as raised:
        load(environ, config)
    assert CANARY not in str(raised.value)
    assert raised.value.__suppress_context__


def test_direct_construction_keeps_the_same_rules() -> None:
    wrong: list[dict[str, Any]] = [{"lease": 1}, {"host": ANYWHERE}, {"leese": 5}]
    for values in wrong:
        with pytest.raises(ValidationError):
            Settings(**values)
