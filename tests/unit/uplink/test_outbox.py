"""What waits for a socket to the cloud, and for how long."""

import asyncio
from collections.abc import Callable

import pytest

from appliance.signaling.kinesis import Action, Request, parse
from appliance.uplink import connection
from appliance.uplink.connection import Outbox

pytestmark = pytest.mark.unit


class Socket:
    """Takes so many texts, then it is broken."""

    def __init__(self, takes: int = 100) -> None:
        self.takes = takes
        self.sent: list[object] = []
        self.closed = False
        self.sending: Callable[[], None] = lambda: None

    async def send_str(self, text: str) -> None:
        if len(self.sent) == self.takes:
            raise ConnectionResetError
        self.sending()
        self.sent.append(parse(text, master=True))

    async def close(self) -> None:
        self.closed = True


def answer(to: str) -> Request:
    return Request(Action.ANSWER, "AAAA", recipient=to)


async def sent_by(outbox: Outbox, socket: Socket, count: int) -> None:
    """Empty `outbox` until so many texts were sent, then the connection ends."""
    async with asyncio.TaskGroup() as group:
        emptying = group.create_task(outbox.empty(socket))  # type: ignore[arg-type]
        while len(socket.sent) < count:
            await asyncio.sleep(0)
        emptying.cancel()


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
    await sent_by(outbox, socket, 1)
    assert socket.sent == [answer("v2")]


async def test_what_was_sent_when_the_socket_ended_is_not_sent_again() -> None:
    outbox, first, second = Outbox(), Socket(), Socket()
    outbox.put(answer("v1"))
    await sent_by(outbox, first, 1)
    outbox.put(answer("v2"))
    await sent_by(outbox, second, 1)
    assert (first.sent, second.sent) == ([answer("v1")], [answer("v2")])


async def test_who_makes_room_while_it_is_sent_takes_nobody_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_BETWEEN_SECONDS", 0)
    monkeypatch.setattr(connection, "_KEPT", 3)
    outbox, socket = Outbox(), Socket()
    said = [answer(f"v{number}") for number in range(4)]
    for each in said[:3]:
        outbox.put(each)

    def put_once() -> None:
        outbox.put(said[3])
        socket.sending = lambda: None

    socket.sending = put_once
    await sent_by(outbox, socket, 4)
    assert socket.sent == said
