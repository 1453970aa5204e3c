"""Under which addresses and names this machine is reached."""

import ipaddress
import socket

import ifaddr

_VIRTUAL = ("docker", "br-", "veth", "virbr", "lxc", "podman", "cni")
_ELSEWHERE = ("192.0.2.1", 9)
"""TEST-NET-1 (RFC 5737): connecting a datagram socket sends nothing, but asks the routing table."""


def hostname() -> str:
    """The machine's own name, without a domain."""
    return socket.gethostname().split(".")[0] or "localhost"


def machine_addresses() -> list[str]:
    """All addresses of this machine, those that others are most likely to reach first."""
    found: list[tuple[int, str]] = []
    preferred = _default_address()
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            found.append((_rank(address, adapter.name, preferred), address))
    return list(dict.fromkeys(address for _, address in sorted(found)))


def is_wildcard(host: str) -> bool:
    """Whether listening on `host` means all addresses."""
    return host in ("0.0.0.0", "::", "*")  # noqa: S104


def authority(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def _rank(address: str, adapter: str, preferred: str) -> int:
    parsed = ipaddress.ip_address(address)
    if address == preferred:
        return 0
    if parsed.is_loopback:
        return 5
    if parsed.is_link_local:
        return 4
    if adapter.startswith(_VIRTUAL):
        return 3
    return 1 if parsed.version == 4 else 2


def _default_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return ""
        return str(probe.getsockname()[0])
