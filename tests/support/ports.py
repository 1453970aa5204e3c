"""Ports that are free for a test."""

import contextlib
import secrets
import socket

_given: set[int] = set()
"""What was free a moment ago need not be bound yet."""


def free_ports(count: int) -> range:
    """`count` neighbours below the ephemeral range, where nobody comes upon them by chance."""
    while True:
        first = 20_000 + secrets.randbelow(12_000)
        ports = range(first, first + count)
        if not _given.isdisjoint(ports):
            continue
        with contextlib.ExitStack() as stack:
            try:
                for port in ports:
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("", port))
            except OSError:
                continue
        _given.update(ports)
        return ports
