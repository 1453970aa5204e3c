"""What waits for a socket to the cloud, and for how long."""

import asyncio

import pytest

from appliance.signaling.kinesis import Action, Request, parse
from appliance.uplink.connection import Outbox

pytestmark = pytest.mark.unit


class Socket:
    """Takes so many texts, then it is broken."""

    def __init__(self, takes: int = 100) -> None:
        self.takes = takes
        self.sent: list[object] = []
        self.closed = False

    async def send_str(self, text: str) -> None:
        if len(self.sent) == self.takes:
            raise ConnectionResetError
        self.sent.append(parse(text, master=True))

    async def close(self) -> None:
        self.closed = True


def answer(to: str) -> Request:
    return Request(Action.ANSWER, "AAAA", recipient=to)


async def test_what_one_socket_did_not_take_the_next_one_gets_but_nothing_stale() -> None:
    now = [0.0]
    outbox = Outbox(lambda: now[0])
    outbox.put(answer("v1"))
    now[0] = 10.0
    outbox.put(answer("v2"))
    broken = Socket(takes=0)
    await outbox.empty(broken)  # type: ignore[arg-type]
    assert broken.closed
    now[0] = 16.0
    socket = Socket()
    async with asyncio.TaskGroup() as group:
        emptying = group.create_task(outbox.empty(socket))  # type: ignore[arg-type]
        while not socket.sent:
            await asyncio.sleep(0)
        emptying.cancel()
    assert socket.sent == [answer("v2")]
