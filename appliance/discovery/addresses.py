"""Addresses of this machine, and the moment they change (rtnetlink(7))."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator

import ifaddr

_QUIET_SECONDS = 0.5
_RTMGRP = 0x1 | 0x10 | 0x100
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR."""


def reachable_addresses() -> tuple[str, ...]:
    """Addresses that others may reach, IPv4 first; loopback only where there is nothing else. Blocks."""
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
            # A link-local IPv6 address means nothing without the name of the reader's own interface.
            if not (address.version == 6 and address.is_link_local):
                found.append(address)
    outward = [address for address in found if not address.is_loopback] or found
    return tuple(dict.fromkeys(str(address) for address in sorted(outward, key=lambda each: each.version)))


async def changes() -> AsyncIterator[None]:
    """Yield each time that links or addresses changed and then were quiet for a moment."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        try:
            route = stack.enter_context(
                socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
            )
            route.bind((0, _RTMGRP))
        except OSError:
            await loop.create_future()  # a sandbox without netlink: nothing is ever told

        def read() -> None:
            changed.set()
            with contextlib.suppress(OSError):  # nothing left, or ENOBUFS: more changed than the socket holds
                while route.recv(65536):
                    pass

        loop.add_reader(route, read)
        stack.callback(loop.remove_reader, route)
        while True:
            await changed.wait()
            while changed.is_set():
                changed.clear()
                await asyncio.sleep(_QUIET_SECONDS)
            yield
