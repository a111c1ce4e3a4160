"""URLs that lead to a forbidden address, by one reader's lights or another's; drawn, and pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.faults.chance import Chance

WITHIN = [
    ip_network(network)
    for network in (
        *(
            "10.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.128.0/17",
            "100.64.0.0/10",
        ),
        *("fc00::/7", "fe80::/10", "::ffff:0:0/96", "64:ff9b::/96"),
    )
]
"""Forbidden throughout; what an attacker wants is in one of them."""
PUBLIC = ("8.8.8.8", "2606:4700:4700::1111")


class Lure(NamedTuple):
    url: str
    name: str = ""
    """The host, when it is one that has to be looked up."""
    answers: tuple[str, ...] = ()
    """All its addresses, in their order; one of them at least is forbidden."""


def drawn(chance: Chance, forbidden: Sequence[str], number: int) -> Lure:
    """`forbidden` are texts of addresses; `number` makes a name that no other lure has."""
    address = ip_address(chance.one(forbidden)) if chance.happens(0.5) else _within(chance)
    if chance.happens(0.2):
        return _named(chance, str(address), number)
    host = chance.one(_V4)(address, chance) if isinstance(address, IPv4Address) else _v6(address, chance)
    return Lure(_wrapped(chance, host))


def _within(chance: Chance) -> IPv4Address | IPv6Address:
    network = chance.one(WITHIN)
    return network[int(chance.between(0, 1) * network.num_addresses)]


def _named(chance: Chance, address: str, number: int) -> Lure:
    name = f"{chance.one(('cdn', '127-0-0-1', 'localhost', 'x_y', 'xn--exmple-cua'))}.n{number}.example.com"
    among = chance.one([(address,), (PUBLIC[0], address), (address, PUBLIC[0]), (*PUBLIC, address)])
    return Lure(_wrapped(chance, name), name, among)


def _numbers(chance: Chance, value: int) -> str:
    return chance.one(
        [f"{value}", f"{value:#x}", f"0{value:o}", f"{value:#X}", f"{value:04d}", f"0x{value:08x}"]
    )


def _parts(address: IPv4Address, chance: Chance) -> str:
    """The forms of inet_aton: one to four numbers in any base, the last of which takes what is left."""
    count = chance.one((1, 2, 3, 4))
    octets = list(address.packed)
    parts = [*octets[: count - 1], int.from_bytes(octets[count - 1 :], "big")]
    return ".".join(_numbers(chance, part) for part in parts)


def _lookalike(address: IPv4Address, chance: Chance) -> str:
    """Other letters that name preparation turns into digits and dots."""
    wide = {letter: letter + 0xFEE0 for letter in b"0123456789."}
    dots = {ord("."): chance.one("\u3002\uff61\uff0e")}
    ringed = {letter: letter + 0x242F for letter in b"123456789"}
    tables: list[Mapping[int, int | str]] = [wide, dots, ringed]
    return str(address).translate(chance.one(tables))


def _escaped(address: IPv4Address, chance: Chance) -> str:
    return "".join(f"%{ord(letter):02x}" if chance.happens(0.5) else letter for letter in str(address))


def _embedded(address: IPv4Address, chance: Chance) -> str:
    """IPv6 that carries it: mapped, compatible, NAT64, 6to4, Teredo (inverted), ISATAP."""
    low = int(address)
    forms = (
        0xFFFF << 32 | low,
        low,
        0x64FF9B << 96 | low,
        0x64FF9B << 96 | 1 << 80 | low,
        0x2002 << 112 | low << 80,
        0x20010000 << 96 | (low ^ 0xFFFFFFFF),
        0x20010470 << 96 | 0x5EFE << 32 | low,
    )
    return _v6(IPv6Address(chance.one(forms)), chance)


_V4: Sequence[Callable[[IPv4Address, Chance], str]] = (
    lambda address, _: str(address),
    lambda address, _: f"{address}.",
    lambda address, _: f"[::ffff:{address}]",
    _parts,
    _parts,
    _lookalike,
    _escaped,
    _embedded,
)


def _v6(address: IPv6Address, chance: Chance) -> str:
    text = chance.one((str(address), address.exploded, str(address).upper()))
    zone = chance.one(("", "", "", "%lo", "%25lo", "%1"))
    return f"[{text}{zone}]"


def _wrapped(chance: Chance, host: str) -> str:
    scheme = chance.one(("http", "http", "https", "HTTP", "hTTps"))
    user = chance.one(("a", "a:b", "permitted.example.com", "permitted.example.com:80", "%40"))
    before = f"{user}@" if chance.happens(0.2) else ""
    port = chance.one(("", "", "", ":80", ":443", ":8080", ":6379", ":0080", ":"))
    path = chance.one(("", "/", "/a.png", "/?u=1", "#x", "/#@permitted.example.com", "/../latest/meta-data/"))
    url = f"{scheme}://{before}{host}{port}{path}"
    if chance.happens(0.05):
        # White space and controls that some readers drop.
        at = chance.one(range(len(url)))
        url = url[:at] + chance.one("\t\n\r \0\u200b\u00ad\\") + url[at:]
    return url
