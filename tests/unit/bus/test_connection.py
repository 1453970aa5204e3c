import asyncio
import contextlib
from pathlib import Path

import pytest
from nats.aio.client import Client

from appliance.bus import connection
from appliance.bus.connection import BusAddress, authorities, heeding_cancellation
from appliance.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("url", ["nats://me:secret@bus.example:4222", "nats://secret@bus.example:4222"])
def test_an_address_that_is_shown_holds_no_secret(url: str) -> None:
    address = BusAddress(url, "me", "secret")
    assert str(address) == "nats://bus.example:4222"
    assert "secret" not in f"{address}"


def test_a_ca_that_cannot_be_read_is_bad_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^bus\.ca: .*absent\.pem: No such file"):
        authorities(str(tmp_path / "absent.pem"))
    (tmp_path / "empty.pem").touch()
    with pytest.raises(ConfigError, match=r"empty\.pem"):
        authorities(str(tmp_path / "empty.pem"))


async def test_a_cancellation_that_wait_for_swallowed_is_heeded() -> None:
    answered = asyncio.get_running_loop().create_future()
    reached = asyncio.Event()

    async def ask_for_ever() -> None:
        while True:
            with heeding_cancellation():
                reached.set()
                # As asyncio.wait_for of Python 3.11 does when the answer is there as well.
                with contextlib.suppress(asyncio.CancelledError):
                    await answered

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(ask_for_ever())
        await reached.wait()
        task.cancel()
    assert task.cancelled()


async def test_each_ping_is_followed_by_the_next_one_on_the_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    class DoneError(Exception):
        """Enough was seen."""

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 2:
            raise DoneError

    async def send(client: Client, future: object = None) -> None:
        """Nowhere."""

    pauses = iter((1.5, 3.0))
    monkeypatch.setattr(connection, "until_beat", lambda: next(pauses))
    monkeypatch.setattr(Client, "_send_ping", send)
    monkeypatch.setattr(Client, "is_connected", True)
    client = connection._Client()
    client.options.update(ping_interval=0.5, max_outstanding_pings=9)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(DoneError):
        await client._ping_interval()
    assert slept == [0.5, 1.5, 3.0]
