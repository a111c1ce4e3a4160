"""`[[shards]]`: which source is at home where, what a process of one shard has, and what is refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from service.errors import ConfigError, InvalidInput
from service.settings import Settings, load
from service.settings.shards import Shard, home

if TYPE_CHECKING:
    from pathlib import Path

TWO = (
    '[[shards]]\nname = "a"\nredis_url = "redis://one:6379/0"\nsources = ["wavespeed"]\n'
    '[[shards]]\nname = "b"\nredis_url = "redis://:geheim@two:6379/0"\nsources = ["studio"]\n'
)
STUDIO = '[[sources]]\nname = "studio"\nkey = "k-2"\nsecrets = "whsec_a"\n'
NAMES = some.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)


def written(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    config = folder / "catchlight.toml"
    config.write_text(text)
    return load(environ or {}, config)


def shards(*names: str) -> list[Shard]:
    return [Shard(name=name, redis_url=f"redis://{name}.example:6379/0") for name in names]


def test_sources_are_spread_and_a_shard_more_takes_its_share_from_all() -> None:
    sources = [f"account-{number}" for number in range(1_000)]
    before = {source: home(source, shards("a", "b")).name for source in sources}
    after = {source: home(source, shards("a", "b", "c")).name for source in sources}
    assert min(Counter(before.values()).values()) > 400
    moved = [source for source in sources if before[source] != after[source]]
    assert {after[source] for source in moved} == {"c"}
    assert 250 < len(moved) < 420


@given(some.lists(NAMES, min_size=1, max_size=6, unique=True), NAMES, some.randoms())
def test_in_what_order_they_are_written_changes_nothing(
    names: list[str], source: str, chance: object
) -> None:
    shuffled = list(names)
    chance.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random
    assert home(source, shards(*names)).name == home(source, shards(*shuffled)).name


def test_a_version_that_hashed_otherwise_would_lose_sight_of_them() -> None:
    """Where these are at home is a promise: another answer in a later version moves what is under way."""
    found = {source: home(source, shards("a", "b", "c")).name for source in ("wavespeed", "studio", "crm-1")}
    assert found == {"wavespeed": "b", "studio": "c", "crm-1": "a"}


def test_a_pinned_source_is_where_it_says_whatever_the_names() -> None:
    pinned = [*shards("b", "c"), Shard(name="a", redis_url="redis://a:1/0", sources=("wavespeed",))]
    assert home("wavespeed", pinned).name == "a"
    assert home("studio", pinned).name == home("studio", shards("a", "b", "c")).name


def test_a_process_of_one_shard_has_its_redis_and_begins_only_what_is_at_home_there(tmp_path: Path) -> None:
    whole = written(tmp_path, STUDIO + TWO)
    assert [source.name for source in whole.at_home] == ["wavespeed", "studio"]
    with pytest.raises(ConfigError, match=r"CATCHLIGHT_SHARD: is not set, and there are several: a, b"):
        whole.require_redis_url()
    of_b = whole.of_shard("b")
    assert of_b.require_redis_url() == "redis://:geheim@two:6379/0"
    assert [source.name for source in of_b.at_home] == ["studio"]
    assert of_b.account_at_home("studio").key == "k-2"
    with pytest.raises(InvalidInput, match="wavespeed is at home on the shard a, and this is b"):
        of_b.account_at_home()
    assert of_b.account().name == "wavespeed", "what is under way there already is still asked for"
    assert dict(of_b) == dict(written(tmp_path, STUDIO + TWO, {"CATCHLIGHT_SHARD": "b"}))


def test_without_shards_everything_is_at_home(tmp_path: Path) -> None:
    settings = written(tmp_path, STUDIO, {"CATCHLIGHT_REDIS_URL": "redis://only:6379/0"})
    assert settings.home_of("studio") is None
    assert settings.account_at_home("studio") == settings.account("studio")
    assert settings.at_home == settings.accounts


def test_an_address_may_stand_elsewhere_and_no_password_is_shown(tmp_path: Path) -> None:
    (tmp_path / "redis-a").write_text("redis://:geheim@one:6379/0\n")
    text = (
        f'[[shards]]\nname = "a"\nredis_url = {{ file = "{tmp_path}/redis-a" }}\n'
        '[[shards]]\nname = "b"\nredis_url = { env = "REDIS_B" }\n'
    )
    settings = written(tmp_path, text, {"REDIS_B": "redis://:geheim@two:6379/0"})
    assert [one.redis_url for one in settings.shards] == [
        f"redis://:geheim@{host}:6379/0" for host in ("one", "two")
    ]
    assert "geheim" not in repr(settings)
    assert "geheim" not in str(settings.describe())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[shards]]\nname = "a"\n', 'redis_url of [[shards]] "a"'),
        ('[[shards]]\nname = "A b"\nredis_url = "redis://h/0"\n', "must be 1 to 64 of a-z, 0-9, _ and -"),
        ('[[shards]]\nname = "a"\nredis_url = "localhost"\n', "must be a URL: redis://host:port/db"),
        (
            '[[shards]]\nname = "a"\nredis_url = "redis://h/0"\nsource = ["x"]\n',
            "the nearest right one is sources",
        ),
        (STUDIO + TWO.replace('"b"', '"a"'), "two shards are named a: give each a name of its own"),
        (STUDIO + TWO.replace(":geheim@two", "one"), "two of a, b have the same redis_url"),
        (TWO.replace('["studio"]', '["wavespeed"]'), "wavespeed is among the sources of two shards"),
        (TWO, "b has the source studio, which is not declared"),
    ],
)
def test_odd_shards_are_refused_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        written(tmp_path, text)
    assert said in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CATCHLIGHT_SHARD": "c"}, "CATCHLIGHT_SHARD: there is no shard c: [[shards]] are a, b"),
        ({"REDIS_URL": "redis://only:6379/0"}, "CATCHLIGHT_REDIS_URL is set too"),
        ({"CATCHLIGHT_SHARDS": "a"}, "CATCHLIGHT_SHARDS: belongs in the file, as [[shards]]"),
    ],
)
def test_what_contradicts_them_is_refused(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=r".") as refused:
        written(tmp_path, STUDIO + TWO, environ)
    assert said in str(refused.value)


def test_a_shard_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no shard a: \[\[shards\]\] are none"):
        written(tmp_path, "", {"CATCHLIGHT_SHARD": "a"})
    with pytest.raises(ConfigError, match="there is no shard a: declared are none"):
        Settings().of_shard("a")


def test_a_shard_where_nobody_is_at_home_is_worth_a_warning(tmp_path: Path) -> None:
    text = TWO.replace('["studio"]', "[]")
    warnings = written(tmp_path, text).warnings()
    assert '[[shards]] "b": no source is at home there; give it one with `sources`' in warnings
    assert not any("[[shards]]" in one for one in written(tmp_path, STUDIO + TWO).warnings())
