"""The last step of a packet: many with one system call where the kernel segments, else one by one."""

import errno
import functools
import logging
import os
import socket
import struct
from asyncio import DatagramTransport
from collections.abc import Sequence
from typing import Protocol

from appliance.streamer.rtp.runs import Run

logger = logging.getLogger(__name__)

Address = tuple[str, int]

_UDP_SEGMENT = 103  # linux/udp.h
_SEGMENTS_REFUSED = {errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT}
_FULL = {errno.EAGAIN, errno.ENOBUFS}


class Path(Protocol):
    """A way to one viewer."""

    def send(self, data: memoryview, runs: Sequence[Run]) -> bool:
        """Send all of `runs`, without waiting; False where there was no room for the rest of them."""

    def send_one(self, data: memoryview) -> bool:
        """Send one packet, without waiting; False where there was no room."""

    def close(self) -> None:
        """It is of no more use."""


class UdpPath:
    """Straight through the socket of an ICE transport, which stays the transport's."""

    def __init__(self, descriptor: int, address: Address) -> None:
        self.segments = True
        """Whether the kernel segments; found out by trying."""
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._socket.setblocking(False)
        self._address = address

    def send(self, data: memoryview, runs: Sequence[Run]) -> bool:
        """See Path.send."""
        for run in runs:
            packets = data[run.start : run.end]
            if self.segments and run.packets > 1:
                try:
                    self._socket.sendmsg((packets,), _segments(run.size), 0, self._address)
                    continue
                except OSError as exc:
                    if exc.errno not in _SEGMENTS_REFUSED:
                        if self._failed(exc):
                            continue
                        return False
                    logger.info("the kernel does not segment for %s: %s", self._address[0], exc)
                    self.segments = False
            if not self._send_each(packets, run.size):
                return False
        return True

    def send_one(self, data: memoryview) -> bool:
        """See Path.send_one."""
        try:
            self._socket.sendto(data, self._address)
        except OSError as exc:
            return self._failed(exc)
        return True

    def close(self) -> None:
        """See Path.close."""
        self._socket.close()

    def _send_each(self, data: memoryview, size: int) -> bool:
        return all(self.send_one(data[at : at + size]) for at in range(0, len(data), size))

    def _failed(self, exc: OSError) -> bool:
        """What the network refuses is lost like what it loses: the viewer asks again."""
        if exc.errno in _FULL:
            return False
        logger.debug("a packet to %s is lost: %s", self._address[0], exc)
        return True


@functools.cache
def _segments(size: int) -> tuple[tuple[int, int, bytes]]:
    """What has the kernel cut a datagram up into packets of this size."""
    return ((socket.SOL_UDP, _UDP_SEGMENT, struct.pack("=H", size)),)


class TransportPath:
    """Packet by packet through any transport, for a viewer behind a relay of the box's own."""

    def __init__(self, transport: DatagramTransport, address: Address) -> None:
        self._transport = transport
        self._address = address

    def send(self, data: memoryview, runs: Sequence[Run]) -> bool:
        """See Path.send; the transport has a queue of its own."""
        for run in runs:
            for at in range(run.start, run.end, run.size):
                self.send_one(data[at : min(at + run.size, run.end)])
        return True

    def send_one(self, data: memoryview) -> bool:
        """See Path.send_one."""
        self._transport.sendto(bytes(data), self._address)
        return True

    def close(self) -> None:
        """See Path.close: the transport is not ours."""
