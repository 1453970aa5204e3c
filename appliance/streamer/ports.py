"""UDP sockets for media, and which port a streamer has among those of its box."""

import contextlib
import errno
import itertools
import logging
import socket
from collections.abc import Iterable, Sequence

from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_BUFFER_BYTES = 4 << 20
_OTHERS_TRIED = 8
_AF41 = 34 << 2  # interactive video, RFC 8837
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33  # socket(7)


def claim(wanted: range, addresses: Sequence[str]) -> tuple[int, dict[str, socket.socket]]:
    """The first port of `wanted`, or else any, that is free on loopback and `addresses`, with its sockets.

    Who keeps the one on loopback keeps the port: that address is always there, so streamers meet on it.
    Raises UnavailableError.
    """
    names = f"UDP {wanted.start}" + (f" to {wanted[-1]}" if len(wanted) > 1 else "")
    for port in itertools.chain(wanted, (_any_port() for _ in range(_OTHERS_TRIED))):
        if opened := _open(port, dict.fromkeys((LOOPBACK, *addresses))):
            if port not in wanted:
                logger.warning("%s: taken; media goes through UDP %d, which firewalls may drop", names, port)
            else:
                logger.info("media goes through UDP %d", port)
            return port, opened
    raise UnavailableError(f"{names}: taken, and so was every other port that was tried")


def bound(address: str, port: int) -> socket.socket:
    """A socket for media. Raises OSError. Without SO_REUSEADDR, since a taken port must be noticed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        tune(made)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


def tune(media: socket.socket) -> None:
    """Buffers for a keyframe to everyone, and the mark of interactive video."""
    for force, ask in ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF)):
        try:
            media.setsockopt(socket.SOL_SOCKET, force, _BUFFER_BYTES)
        except OSError:  # not root
            media.setsockopt(socket.SOL_SOCKET, ask, _BUFFER_BYTES)
    if media.family == socket.AF_INET6:
        media.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _AF41)
    else:
        media.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _AF41)


def _open(port: int, addresses: Iterable[str]) -> dict[str, socket.socket]:
    """A socket for each of `addresses` that is up; none at all where somebody has the port on one of them."""
    with contextlib.ExitStack() as undo:
        opened = {}
        for address in addresses:
            try:
                opened[address] = undo.enter_context(bound(address, port))
            except OSError as exc:
                if exc.errno == errno.EADDRINUSE:
                    return {}
                logger.debug("%s: UDP %d: %s", address, port, exc)
        undo.pop_all()
        return opened


def _any_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
