"""What a viewer that is connected says and hears on its control channel."""

import asyncio
import time

import pytest

from appliance.bus.messages import Role
from appliance.bus.peer_messages import PeerEvent
from appliance.signaling.control import Key, Release
from appliance.streamer import control_channel
from appliance.streamer.frames import EncodedFrame
from tests.support.lone_peer import House

pytestmark = pytest.mark.unit

KEY = {"type": "fanlight::key", "data": {"code": "KeyA", "key": "a", "pressed": True}}


async def test_input_reaches_the_screen_with_the_role_of_the_viewer(house: House) -> None:
    await house.connect()
    house.say(KEY)
    viewer, role, message = await house.input.handled.get()
    assert (viewer, role) == ("p1", Role.CONTROL)
    assert isinstance(message, Key)


async def test_input_that_fails_is_the_trouble_of_that_message_alone(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.connect()
    house.say({"type": "fanlight::key", "data": {"code": "Digit1", "key": "!", "pressed": True}})
    house.say(KEY)
    await house.input.handled.get()
    assert "ZeroDivisionError" in caplog.text


async def test_all_keys_are_let_go_when_the_viewer_leaves(house: House) -> None:
    await house.connect()
    await house.pc.close()
    assert await house.input.released.get() == "p1"
    assert not house.peer.ended


async def test_a_key_is_let_go_where_nothing_is_heard_any_more_of_who_holds_it(house: House) -> None:
    await house.connect()
    house.say(KEY)
    await house.input.handled.get()
    began = time.monotonic()
    house.cut()
    async with asyncio.timeout(5):
        assert await house.input.handled.get() == ("p1", Role.CONTROL, Release())
    assert time.monotonic() - began > 1.4
    assert house.input.released.empty(), "its gamepads stay plugged in"
    assert house.peer.connected, "long before the connection is given up"


async def test_a_gamepad_of_whom_nothing_is_heard_rests_first_and_then_goes(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.connect()
    house.input.plugged = True
    house.say({"type": "input::gamepad-button", "data": {"id": 0, "index": 0, "pressed": True}})
    await house.input.handled.get()
    house.cut()
    with caplog.at_level("INFO"):
        async with asyncio.timeout(10):
            assert await house.input.released.get() == "p1"
    assert house.peer.connected, "who comes back in another connection has the same place"
    assert {house.input.handled.get_nowait()[2] for _ in range(house.input.handled.qsize())} == {Release()}
    assert sum("nothing is heard" in each for each in caplog.messages) == 1


async def test_a_key_that_is_held_while_nothing_moves_stays_held(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_channel, "_SILENT_S", 3.5)  # a machine that stands still is not silent
    await house.connect()
    house.say(KEY)
    began = time.monotonic()
    async with asyncio.timeout(10):
        while time.monotonic() - began < 4.5:
            assert await house.told.get() == ("fanlight::heed", {})
    assert house.input.released.empty()


async def test_a_clipboard_that_does_not_fit_is_told_as_such(house: House) -> None:
    await house.connect()
    fits, limit = "д" * 60_000, 262_144
    house.peer.tell_clipboard(fits)
    assert await house.told.get() == ("fanlight::clipboard", {"text": fits})
    house.peer.tell_clipboard("д" * (limit // 2))
    kind, told = await house.told.get()
    assert (kind, "too long" in told["text"]) == ("fanlight::notice", True)


async def test_role_and_size_are_told_again_when_they_change(house: House) -> None:
    await house.connect()
    house.peer.tick({})
    assert await house.told.get() == ("fanlight::stats", {})
    house.size = (800, 600)
    house.peer.tick({"fps": 1.0})
    assert (await house.told.get())[1]["width"] == 800
    assert await house.told.get() == ("fanlight::stats", {"fps": 1.0})
    house.peer.opened(PeerEvent(kind="open", peer="p1", role=Role.VIEW, page=True))
    assert (await house.told.get())[1]["role"] == "view"
    assert await house.input.released.get() == "p1"


async def test_a_viewer_is_told_what_is_wrong_with_the_picture_that_it_gets(house: House) -> None:
    await house.connect()
    house.broadcast.problem = "camera: Device or resource busy"
    house.peer.tick({"problem": "", "fps": 30.0})
    said = {"problem": "camera: Device or resource busy", "fps": 30.0}
    assert await house.told.get() == ("fanlight::stats", said)


async def test_an_sdk_hears_of_nothing_that_it_did_not_ask_for() -> None:
    house, opened = House(page=False, exclusive=True), asyncio.Event()
    house.control.on("open", opened.set)
    async with asyncio.TaskGroup() as group:
        group.create_task(house.peer.run())
        await house.negotiate()
        await opened.wait()
        house.peer.tick({"fps": 1.0})
        house.peer.notice("the box is about to go down")
        house.say({"type": "fanlight::ping", "data": {"t": 1}})
        assert (await house.told.get())[0] == "fanlight::pong"
        house.peer.end("the test is over")
    await house.pc.close()


async def test_who_asks_is_told_of_every_frame_on_the_clock_of_its_echoes(house: House) -> None:
    await house.connect()
    house.say({"type": "fanlight::timing", "data": {"on": True}})
    house.say({"type": "fanlight::ping", "data": {"t": 1}})
    _, echo = await house.told.get()
    now = int(echo["box"] * 1e6)
    frame = EncodedFrame(b"", True, 0, now, now + 1_500_000, now + 4_000_000)
    house.peer._control.times.sent(frame, 4_000_000_000)
    kind, told = await house.told.get()
    ((timestamp, captured, capture, encode, sent),) = told["frames"]
    assert (kind, timestamp, capture, encode) == ("fanlight::frames", 4_000_000_000, 1.5, 2.5)
    assert abs(captured - echo["box"]) < 0.02
    assert captured + capture + encode + sent == pytest.approx(time.monotonic() * 1e3, abs=5000)


async def test_the_latency_that_the_page_makes_out_is_known_while_it_is_connected(house: House) -> None:
    await house.connect()
    assert house.peer.stats().latency_ms is None
    house.say({"type": "fanlight::latency", "data": {"ms": 21.36}})
    house.say({"type": "fanlight::ping", "data": {"t": 1}})
    await house.told.get()
    assert house.peer.stats().latency_ms == 21.4
    await house.pc.close()
    await house.input.released.get()
    assert house.peer.stats().latency_ms is None


async def test_who_asks_for_keyframes_without_end_gets_a_few(house: House) -> None:
    await house.connect()
    before = house.broadcast.keyframe_requests
    for number in range(50):
        house.say({"type": "fanlight::keyframe", "data": {}})
        house.say({"type": "fanlight::ping", "data": {"t": number}})
    while (await house.told.get())[1].get("t") != 49:
        pass
    assert 0 < house.broadcast.keyframe_requests - before <= 10
