"""Packets of a peer, put before our end of a connection in the clear."""

from typing import Any

import pylibsrtp
from aiortc.rtcdtlstransport import State


class Plain:
    """A session that lets everything through but what says that it is forged."""

    def unprotect(self, packet: bytes) -> bytes:
        return packet

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        if packet.endswith(b"forged"):
            raise pylibsrtp.Error("authentication failure")
        return packet


def unprotected(dtls: Any) -> None:
    """Let this transport agree on no keys at all; to be called before it is guarded."""
    vars(dtls)["_setup_srtp"] = lambda: vars(dtls).update(_rx_srtp=Plain())


def arrive(dtls: Any, *packets: bytes) -> None:
    """Packets for a transport like that, which is connected from now on."""
    if dtls._rx_srtp is None:
        dtls._setup_srtp()
        dtls._state = State.CONNECTED
    for packet in packets:
        dtls.transport._connection.data_received(packet, 1)
