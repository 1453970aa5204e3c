"""The filter in the kernel, on loopback; and the privates of aiortc that the benchmarks replace."""

import inspect
import socket
import struct
from collections.abc import Iterator

import pytest
from aiortc.rtcdtlstransport import RTCCertificate
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from appliance.bench.receivers import deafen, lose, thin, udp_sockets

pytestmark = pytest.mark.unit

STUN, DTLS, RTP, RTCP = bytes((0, 1)), bytes((22, 254)), bytes((128, 97)), bytes((128, 201))
RTP_MARKED = bytes((144, 225))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """What is sent into the one comes out of the other."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        near.bind(("127.0.0.1", 0))
        near.setblocking(False)
        far.connect(near.getsockname())
        yield near, far


def received(near: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(near.recv(100)[:2])
        except BlockingIOError:
            return found


def test_only_pictures_are_dropped(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    lose(1.0, [near.dup()])
    for first in (STUN, RTP, DTLS, RTP_MARKED, RTCP):
        far.send(first + bytes(20))
    assert received(near) == [STUN, DTLS, RTCP]


def test_runs_of_pictures_are_dropped_whole(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    deafen([near.dup()])
    cut = [(socket.SOL_UDP, 103, struct.pack("=H", 20))]  # UDP_SEGMENT
    far.sendmsg([RTP + bytes(18), RTP_MARKED + bytes(18)], cut)
    far.send(RTCP + bytes(20))
    assert received(near) == [RTCP]
    assert near.getsockopt(socket.SOL_UDP, 104) == 1  # UDP_GRO


def test_a_share_of_them_is_dropped(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    lose(0.3, [near.dup()])
    got = 0
    for _ in range(1000):
        far.send(RTP + bytes(20))
        got += len(received(near))
    assert 600 < got < 800


def test_of_each_frame_a_few_come_through(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    thin(4, [near.dup()])
    for first in (STUN, RTCP):
        far.send(first + bytes(20))
    for number in range(254, 264):
        far.send(RTP + number.to_bytes(2) + bytes(20))
    for padded in (bytes((160, 97)), RTP_MARKED):
        far.send(padded + (257).to_bytes(2) + bytes(20))
    assert received(near) == [STUN, RTCP, RTP, RTP, bytes((160, 97)), RTP_MARKED]


def test_sockets_are_found_without_asking_who_owns_them(pair: tuple[socket.socket, socket.socket]) -> None:
    found = udp_sockets()
    try:
        assert {each.getsockname() for each in pair} <= {each.getsockname() for each in found}
        assert all(each.type == socket.SOCK_DGRAM for each in found)
    finally:
        for each in found:
            each.close()


def test_aiortc_still_has_what_the_benchmarks_replace() -> None:
    assert list(inspect.signature(RTCCertificate._create_ssl_context).parameters) == ["self", "srtp_profiles"]
    handle = inspect.signature(RTCRtpReceiver._handle_rtp_packet)
    assert list(handle.parameters) == ["self", "packet", "arrival_time_ms"]
