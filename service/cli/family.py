"""The processes of a whole Catchlight on one machine: server (unless set), receiver, workers, sweeper."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service import embedded
from service.cli.processes import python, several
from service.cli.supervisor import Child
from service.errors import ConfigError
from service.settings.environment import SHARD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from service.settings import Settings

URL_FILE = "embedded.url"
"""In the data folder, for other commands run there while `up` runs."""


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Two families on one data folder would write one log twice. Raises ConfigError for the second."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "up.lock").open("w")
    except OSError as error:
        raise ConfigError(f"CATCHLIGHT_DATA_DIR: cannot write {data_dir}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"another `catchlight up` runs on {data_dir}; stop it, or set CATCHLIGHT_DATA_DIR"
            ) from error
        yield


@contextmanager
def redis_for(settings: Settings, environment: Mapping[str, str]) -> Iterator[tuple[str | None, list[Child]]]:
    """(URL, the child that serves it, if any); an embedded server's URL stands in the data folder then.

    No URL where there are several shards.
    """
    if settings.redis_url or settings.shards:
        yield settings.redis_url, []
        return
    port = embedded.free_port()
    url_file = settings.data_dir / URL_FILE
    command = embedded.command(settings.data_dir, port)
    url_file.write_text(embedded.url(port) + "\n")
    try:
        yield embedded.url(port), [Child("redis", command, environment)]
    finally:
        url_file.unlink(missing_ok=True)


def roles(environment: Mapping[str, str], processes: int = 1, shards: Sequence[str] = ()) -> list[Child]:
    """Receiver first: from its first second no callback is turned away for want of a worker.

    One receiver for all shards; of the others each has its own, `processes` workers among them.
    """
    of_each = [{**environment, SHARD: name} for name in shards] or [dict(environment)]
    return [
        *several("serve", python("service.cli", "serve"), environment, 1),
        *(child for one in of_each for child in several("work", python("workers", "work"), one, processes)),
        *(child for one in of_each for child in several("sweep", python("workers", "sweep"), one, 1)),
    ]
