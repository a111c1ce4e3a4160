"""Which addresses are never a public server, after IANA's special-purpose registries and the clouds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_DENIED_V4 = [
    (IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's host agent"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "a protocol assignment"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "an anycast service"),
        ("192.52.193.0/24", "an anycast service"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "an anycast service"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
]

# The only IPv6 space given out for public servers. What lies outside needs no row of its own: loopback,
# ::/96, mapped, NAT64, unique-local (fd00:ec2::254 among them), link-local, site-local, multicast.
_PUBLIC_V6 = IPv6Network("2000::/3")

_DENIED_V6 = [
    (IPv6Network(network), what)
    for network, what in (
        ("2001::/23", "a protocol assignment or Teredo"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "an anycast service"),
        ("3ffe::/16", "a retired test network"),
        ("3fff::/20", "documentation"),
    )
]


def not_public(address: IPAddress) -> str | None:
    """What this address is instead of public, None if it is public."""
    if isinstance(address, IPv4Address):
        return next((what for network, what in _DENIED_V4 if address in network), None)
    if address.scope_id is not None:
        return "scoped to an interface"
    if address not in _PUBLIC_V6:
        return "outside the public IPv6 space"
    if _isatap(address):
        return "an IPv4 address inside IPv6 (ISATAP)"
    return next((what for network, what in _DENIED_V6 if address in network), None)


def _isatap(address: IPv6Address) -> bool:
    """RFC 5214: an interface id of `0:5efe` or `200:5efe` followed by an IPv4 address, under any prefix."""
    return address.packed[8:12] in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")
