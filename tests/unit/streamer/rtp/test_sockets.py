import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from appliance.streamer.rtp.layout import PackedFrame, Shape
from appliance.streamer.rtp.sockets import TransportPath, UdpPath

pytestmark = pytest.mark.unit

LAYOUT = PackedFrame([bytes([number]) * 900 for number in range(20)] + [b"tail"], 0).layout(Shape(97, 0, 16))
PROTECTED = [LAYOUT.template[offset : offset + length + 16] for offset, length in LAYOUT.packets]
NO_CHECKSUM = 11  # SO_NO_CHECK: Linux does not segment without


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.setblocking(False)
        yield found


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.setblocking(False)
        yield found


def arrived(receiver: socket.socket) -> list[bytes]:
    packets = []
    while True:
        try:
            packets.append(receiver.recv(65536))
        except BlockingIOError:
            return packets


@pytest.mark.parametrize("segments", [True, False])
def test_every_packet_arrives_by_itself_with_and_without_segmentation(
    sender: socket.socket, receiver: socket.socket, segments: bool
) -> None:
    if not segments:
        sender.setsockopt(socket.SOL_SOCKET, NO_CHECKSUM, 1)
    path = UdpPath(sender.fileno(), receiver.getsockname())
    assert path.send(memoryview(LAYOUT.template), LAYOUT.runs)
    assert path.segments == segments
    assert arrived(receiver) == PROTECTED
    assert path.send_one(memoryview(b"single"))
    assert arrived(receiver) == [b"single"]
    path.close()
    assert sender.fileno() >= 0


@dataclass
class Refusing:
    """A socket that fails with `error` after `room` packets; alone means that it fails for segments only."""

    error: int
    room: int = 0
    sent: list[bytes] = field(default_factory=list)

    def sendmsg(self, buffers: Any, *_: Any) -> None:
        raise OSError(self.error, "")

    def sendto(self, data: Any, _: Any) -> None:
        if len(self.sent) >= self.room:
            raise OSError(self.error, "")
        self.sent.append(bytes(data))


def path_of(fake: Refusing, sender: socket.socket) -> UdpPath:
    path = UdpPath(sender.fileno(), ("127.0.0.1", 9))
    path.close()
    path._socket = fake  # type: ignore[assignment]
    return path


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT])
def test_a_refusal_to_segment_is_remembered(sender: socket.socket, error: int) -> None:
    fake = Refusing(error, room=100)
    path = path_of(fake, sender)
    assert path.send(memoryview(LAYOUT.template), LAYOUT.runs)
    assert fake.sent == PROTECTED
    assert not path.segments


def test_a_full_buffer_ends_the_frame(sender: socket.socket) -> None:
    fake = Refusing(errno.EAGAIN, room=5)
    path = path_of(fake, sender)
    assert not path.send(memoryview(LAYOUT.template), LAYOUT.runs)
    assert path.segments
    path.segments = False
    assert not path.send(memoryview(LAYOUT.template), LAYOUT.runs)
    assert fake.sent == PROTECTED[:5]


def test_what_the_network_refuses_is_lost_and_no_more(sender: socket.socket) -> None:
    path = path_of(Refusing(errno.ENETUNREACH), sender)
    assert path.send(memoryview(LAYOUT.template), LAYOUT.runs)
    assert path.segments


def test_a_relay_gets_packet_by_packet() -> None:
    sent: list[tuple[bytes, Any]] = []

    class Transport:
        def sendto(self, data: bytes, address: Any) -> None:
            sent.append((data, address))

    path = TransportPath(Transport(), ("192.0.2.1", 9))  # type: ignore[arg-type]
    assert path.send(memoryview(LAYOUT.template), LAYOUT.runs)
    assert sent == [(packet, ("192.0.2.1", 9)) for packet in PROTECTED]
    path.close()
