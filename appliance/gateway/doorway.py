"""How many connections may be open, and idle: strangers must not use up the files the daemon lives on."""

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from appliance.gateway.limits import caller_of

_FILES = 16384
"""Enough for a few thousand sockets; some programs go through all of theirs when they start, so not more."""

IDLE_SECONDS = 75.0
"""Until a request has come with its whole head, and until something of an answer is read.

Proxies go on using a connection for 60 s, so not less.
"""


def more_files() -> int:
    """Have as many open files as we may and need; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class Doorway:
    """At most `total` connections, a quarter of them of one caller; `refused` is told of each too many."""

    def __init__(self, total: int, refused: Callable[[], None]) -> None:
        self._total = total
        self._refused = refused
        self._inside: Counter[str] = Counter()

    async def listen(self, host: str, port: int) -> "list[DoorSocket]":
        """A bound socket for every address of `host`. Raises OSError."""
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets: list[DoorSocket] = []
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                sockets.append(DoorSocket(family, kind, protocol, doorway=self))
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(IDLE_SECONDS * 1000))
                if family == socket.AF_INET6:
                    sockets[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sockets[-1].bind(address)
        except OSError:
            for each in sockets:
                each.close()
            raise
        return sockets

    @property
    def inside(self) -> int:
        """How many are open."""
        return self._inside.total()

    def enter(self, caller: str) -> bool:
        """Count a connection; False where it is one too many."""
        if self._inside[caller] >= self._total // 4 or self.inside >= self._total:
            self._refused()
            return False
        self._inside[caller] += 1
        return True

    def leave(self, caller: str) -> None:
        """It is closed."""
        self._inside[caller] -= 1
        self._inside += Counter()  # forgets who has none left


class DoorSocket(socket.socket):
    """A listening socket that lets in whom its doorway lets in."""

    def __init__(self, family: int, kind: int, protocol: int, *, doorway: Doorway) -> None:
        super().__init__(family, kind, protocol)
        self._doorway = doorway

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises ConnectionAbortedError for one too many: asyncio goes on with the next."""
        connection, address = super().accept()
        caller = caller_of(address[0])
        if not self._doorway.enter(caller):
            connection.close()
            raise ConnectionAbortedError("too many connections")
        return _Guest(connection, lambda: self._doorway.leave(caller)), address


class _Guest(socket.socket):
    """An accepted connection that tells when it is closed."""

    def __init__(self, connection: socket.socket, left: Callable[[], None]) -> None:
        super().__init__(connection.family, connection.type, connection.proto, connection.detach())
        self._left: Callable[[], None] | None = left

    def close(self) -> None:
        super().close()
        if self._left:
            left, self._left = self._left, None
            left()
