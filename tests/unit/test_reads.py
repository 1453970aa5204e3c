"""The privates of asyncio that are changed: what they mean, and that they are still there."""

import asyncio
import socket
from asyncio import selector_events, unix_events

import pytest

from appliance import reads

pytestmark = pytest.mark.unit


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.got.put_nowait(data)


async def test_the_largest_datagram_comes_whole_with_one_small_read() -> None:
    reads.install()
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    address = opened.getsockname()
    transport, receiver = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, sock=opened)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(bytes(65507), address)
        assert await receiver.got.get() == bytes(65507)
    assert vars(type(transport).__mro__[1])["max_size"] == reads.READ_BYTES
    transport.close()


@pytest.mark.parametrize(
    ("transport", "read"),
    [
        (vars(selector_events)["_SelectorDatagramTransport"], "_read_ready"),
        (vars(selector_events)["_SelectorSocketTransport"], "_read_ready__data_received"),
        (vars(unix_events)["_UnixReadPipeTransport"], "_read_ready"),
    ],
)
def test_asyncio_still_asks_for_so_much(transport: type, read: str) -> None:
    assert "max_size" in getattr(transport, read).__code__.co_names
