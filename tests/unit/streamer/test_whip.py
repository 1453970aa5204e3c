import asyncio

import pytest

from appliance.bus.messages import Publication
from appliance.errors import UnavailableError
from appliance.signaling.anbox import Settings
from appliance.streamer import whip
from appliance.streamer.connection import MediaConnection
from appliance.streamer.whip import Publisher

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("stable_s", "expected"), [(60, [1, 2, 5, 15, 30, 30]), (-1, [1] * 6)])
async def test_it_begins_again_ever_more_slowly_unless_it_had_lasted(
    monkeypatch: pytest.MonkeyPatch, stable_s: float, expected: list[float]
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == len(expected):
            raise asyncio.CancelledError

    def refuse(*_: object) -> MediaConnection:
        raise UnavailableError("gone")

    monkeypatch.setattr(whip, "ask_ice_servers", lambda *_: [])
    monkeypatch.setattr(whip, "_STABLE_SECONDS", stable_s)
    publisher = Publisher(Publication(url="https://sfu.example/whip"), Settings(), refuse)
    monkeypatch.setattr("appliance.streamer.whip.asyncio.sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        await publisher.run()
    assert pauses == expected
