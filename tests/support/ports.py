"""Ports that are free for a test."""

import contextlib
import secrets
import socket


def free_ports(count: int) -> range:
    """`count` neighbours below the ephemeral range, where nobody comes upon them by chance."""
    while True:
        first = 20_000 + secrets.randbelow(12_000)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("", port))
            except OSError:
                continue
        return range(first, first + count)
