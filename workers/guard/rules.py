"""The guard's decisions, pure: a URL, a redirect, a hook and a resolver's answer meet the same rules."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from workers.guard.addresses import not_public
from workers.guard.spelling import DEFAULT_PORTS, GuardRefused, Target, read_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.guard.addresses import IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class Guard:
    hosts: tuple[str, ...] | None
    """Names, `*.domain` for one label or more, `*`, or literal addresses; None is any host (hooks)."""
    private: tuple[IPNetwork, ...] = ()
    """Networks allowed besides public addresses, on any port."""

    def check_url(self, url: str) -> Target:
        """Raises GuardRefused; a name that passes still has to pass `check_answers` once it is resolved."""
        return _checked(self, url)

    def check_address(self, address: IPAddress) -> None:
        if self.is_private(address):
            return
        if what := not_public(address):
            raise GuardRefused(
                "refused_address",
                f"{address} is not public ({what}); CATCHLIGHT_FETCH_PRIVATE lists exceptions",
            )

    def check_answers(self, host: str, port: int, addresses: Sequence[IPAddress]) -> None:
        """One bad answer refuses all: the next lookup of the same name could give just that one."""
        for address in addresses:
            self.check_address(address)
        if port not in DEFAULT_PORTS.values() and not all(map(self.is_private, addresses)):
            raise _refused_port(host, port)

    def is_private(self, address: IPAddress) -> bool:
        scoped = isinstance(address, IPv6Address) and address.scope_id is not None
        return not scoped and any(address in network for network in self.private)


@functools.lru_cache(256)
def _checked(guard: Guard, url: str) -> Target:
    """Remembered for a moment: whoever begins a download and whoever connects for it ask the same."""
    target = read_url(url)
    if target.address is not None:
        guard.check_address(target.address)
    if guard.hosts is not None and not _listed(guard.hosts, target):
        raise GuardRefused("refused_host", f"host {target.host} is not in CATCHLIGHT_FETCH_HOSTS")
    # A name's addresses are not known yet.
    private = bool(guard.private) if target.address is None else guard.is_private(target.address)
    if not target.usual_port and not private:
        raise _refused_port(target.host, target.port)
    return target


def _listed(hosts: Sequence[str], target: Target) -> bool:
    return any(_matches(pattern.strip().lower(), target) for pattern in hosts)


def _matches(pattern: str, target: Target) -> bool:
    if pattern == "*":
        return True
    if target.address is not None:
        return _as_address(pattern) == target.address
    if pattern.startswith("*."):
        return target.host.endswith(pattern[1:])
    return target.host == pattern


def _as_address(pattern: str) -> IPAddress | None:
    try:
        return ip_address(pattern.strip("[]"))
    except ValueError:
        return None


def _refused_port(host: str, port: int) -> GuardRefused:
    return GuardRefused(
        "refused_port",
        f"port {port} of {host}: other ports than 80 and 443 only inside CATCHLIGHT_FETCH_PRIVATE",
    )
