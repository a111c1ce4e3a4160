"""`[[sources]]`: what an account beside the default one takes from where, and what is refused of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service import wavespeed
from service.errors import ConfigError, InvalidInput
from service.moderation import Action
from service.prediction import Nsfw
from service.settings import Settings, load
from service.settings.model import DEFAULT_SOURCE

if TYPE_CHECKING:
    from pathlib import Path

STUDIO = '[[sources]]\nname = "studio"\nkey = "k-2"\nsecrets = "whsec_a,whsec_b"\n'
CANARY = "geheim-canary"


def written(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    config = folder / "catchlight.toml"
    config.write_text(text)
    return load(environ or {}, config)


def test_without_any_there_is_the_account_of_the_unprefixed_variables() -> None:
    settings = load({"WAVESPEED_API_KEY": "k-1", "CATCHLIGHT_WEBHOOK_SECRETS": "whsec_x"})
    (only,) = settings.accounts
    assert (only.name, only.path) == (wavespeed.SOURCE, f"/webhooks/{wavespeed.SOURCE}")
    assert (only.key, only.secrets) == ("k-1", ("whsec_x",))
    assert only == settings.account() == settings.account(DEFAULT_SOURCE)


def test_what_a_source_leaves_out_is_the_setting_of_the_same_name(tmp_path: Path) -> None:
    settings = written(
        tmp_path, STUDIO, {"CATCHLIGHT_POLL_RATE": "7/s", "CATCHLIGHT_PUBLIC_URL": "https://p.example/x"}
    )
    studio = settings.account("studio")
    assert (studio.path, studio.poll_rate) == ("/webhooks/studio", 7)
    assert studio.provider_url == settings.provider_url
    assert settings.callback_url("studio") == "https://p.example/x/webhooks/studio"
    assert (studio.key, studio.secrets) == ("k-2", ("whsec_a", "whsec_b"))
    assert settings.source_names == (wavespeed.SOURCE, "studio")
    assert settings.account().key is None


def test_what_it_says_itself_goes_first(tmp_path: Path) -> None:
    more = 'path = "/in/here"\npoll_rate = "2/s"\nprovider_url = "https://other.example/v3/"\n'
    studio = written(tmp_path, STUDIO + more).account("studio")
    assert (studio.path, studio.poll_rate) == ("/in/here", 2)
    assert studio.provider_url == "https://other.example/v3"


def test_secrets_may_stand_in_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k-file\n")
    text = (
        f'[[sources]]\nname = "studio"\nkey = {{ file = "{tmp_path}/key" }}\n'
        'secrets = [{ env = "OLD" }, "whsec_new"]\n'
    )
    studio = written(tmp_path, text, {"OLD": "whsec_old"}).account("studio")
    assert (studio.key, studio.secrets) == ("k-file", ("whsec_old", "whsec_new"))


def test_its_moderation_stands_in_the_place_of_ours_and_behind_that_of_models(tmp_path: Path) -> None:
    rules = 'moderation = { flagged = "drop", clean = "hold" }\n'
    rules += '[[moderation]]\nmodel = "acme/*"\nclean = "release"\n'
    policy = written(tmp_path, STUDIO + rules).moderation_policy
    ours, theirs = policy.of(wavespeed.SOURCE), policy.of("studio")
    assert (ours.action("x/y", Nsfw.FLAGGED), theirs.action("x/y", Nsfw.FLAGGED)) == (
        Action.HOLD,
        Action.DROP,
    )
    assert theirs.action("x/y", Nsfw.UNKNOWN) is Action.HOLD
    assert theirs.action("x/y", Nsfw.CLEAN) is Action.HOLD
    assert theirs.action("acme/z", Nsfw.CLEAN) is Action.RELEASE
    assert "source studio: clean hold, flagged drop" in str(policy)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (STUDIO * 2, "two sources are named studio"),
        (STUDIO.replace("studio", "wavespeed"), "is the source of WAVESPEED_API_KEY"),
        (STUDIO.replace('"studio"', '"The Studio"'), "must be 1 to 64 of a-z"),
        (STUDIO.replace('"studio"', '"held"'), "is the name of a folder of ours"),
        (f'{STUDIO}path = "/api/v1/callbacks"\n', "is a path of our own API"),
        (f'{STUDIO}path = "in/here"\n', "must be a path like /webhooks/studio"),
        (f'{STUDIO}path = "/in/../here"\n', "must be a path like /webhooks/studio"),
        (f'{STUDIO}path = "/webhooks/wavespeed"\n', "two sources have the path /webhooks/wavespeed"),
        (f"{STUDIO}poll_rate = 0\n", 'poll_rate of [[sources]] "studio"'),
        (f'{STUDIO}moderation = {{ flagged = "burn" }}\n', 'moderation of [[sources]] "studio"'),
        (f'{STUDIO}kee = "x"\n', "the nearest right one is key"),
        (STUDIO.replace('"k-2"', '{ file = "/no/such" }'), 'key of [[sources]] "studio"'),
        (STUDIO.replace('"k-2"', '{ env = "CATCHLIGHT_X" }'), "take a variable without CATCHLIGHT_"),
        (STUDIO.replace('"k-2"', '""'), 'key of [[sources]] "studio"'),
    ],
)
def test_what_is_wrong_is_named_with_its_source(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        written(tmp_path, text.replace("whsec_a", f"whsec_{CANARY}"))
    assert says in str(raised.value)
    assert CANARY not in str(raised.value)


def test_a_source_that_nobody_has_declared_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="declared are wavespeed, studio"):
        written(tmp_path, STUDIO).account("atelier")


def test_one_without_secrets_or_key_is_a_warning(tmp_path: Path) -> None:
    warnings = written(tmp_path, '[[sources]]\nname = "studio"\n').warnings()
    assert len([one for one in warnings if one.startswith('[[sources]] "studio": has no')]) == 2
    assert not [one for one in written(tmp_path, STUDIO).warnings() if "[[sources]]" in one]


def test_secrets_of_any_source_are_enough_to_serve(tmp_path: Path) -> None:
    written(tmp_path, STUDIO).require_webhook_secrets()
    with pytest.raises(ConfigError):
        load({}).require_webhook_secrets()


def test_nothing_that_is_printed_holds_a_secret(tmp_path: Path) -> None:
    settings = written(tmp_path, STUDIO.replace("whsec_a", f"whsec_{CANARY}").replace("k-2", CANARY))
    shown = [repr(settings), str(settings.describe()), settings.model_dump_json(), repr(settings.accounts)]
    assert not any(CANARY in text for text in shown)
