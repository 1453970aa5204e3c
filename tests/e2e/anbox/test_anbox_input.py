"""Input of a client reaches an X client."""

import os

import pytest

from tests.e2e.anbox.clients import Crowd, Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]


async def test_keys_pointer_and_wheel_reach_the_screen(crowd: Crowd, gateway: Gateway, desktop: str) -> None:
    client, line = await crowd.play(desktop), gateway.drawing.line
    await client.until("s.control.readyState === 'open'")

    await client.send("input::mouse-move", {"x": 147.84, "y": 300.2, "rx": 5, "ry": 5})
    assert await line(r"^motion 14[78],300 ", 10)
    await client.send("input::mouse-button", {"pressed": True, "button": 1})
    await client.send("input::mouse-button", {"pressed": False, "button": 1})
    assert await line(r"^button 1 14[78],300 ", 10)
    await client.send("input::mouse-button", {"pressed": True, "button": 3})
    await client.send("input::mouse-button", {"pressed": False, "button": 3})
    assert await line(r"^button 3 ", 10)
    await client.send("input::mouse-wheel", {"x": 0, "y": -1})
    assert await line(r"^button 5 ", 10), "down"
    await client.send("input::mouse-wheel", {"x": 0, "y": 1})
    assert await line(r"^button 4 ", 10), "up"

    for code, keycode in ((4, 38), (84, 50), (50, 48)):  # KeyA, Shift, Quote: evdev codes plus 8
        await client.send("input::key", {"code": code, "pressed": True})
        assert await line(rf"^key {keycode} down", 10)
        await client.send("input::key", {"code": code, "pressed": False})
        assert await line(rf"^key {keycode} up", 10)


async def test_a_pointer_outside_the_picture_is_kept_inside(
    crowd: Crowd, gateway: Gateway, desktop: str
) -> None:
    client = await crowd.play(desktop)
    await client.until("s.control.readyState === 'open'")
    await client.send("input::mouse-move", {"x": 100, "y": 100, "rx": 0, "ry": 0})
    assert await gateway.drawing.line(r"^motion 100,100 ", 10)
    await client.send("input::mouse-move", {"x": 99999, "y": 5000.5, "rx": 0, "ry": 0})
    assert await gateway.drawing.line(r"^motion 1279,719 ", 10)


async def test_keys_that_a_client_held_are_let_go_when_it_is_taken_over(
    crowd: Crowd, gateway: Gateway, desktop: str
) -> None:
    client = await crowd.play(desktop)
    await client.until("s.control.readyState === 'open'")
    await client.send("input::key", {"code": 84, "pressed": True})
    assert await gateway.drawing.line(r"^key 50 down", 10)
    await crowd.play(desktop)
    assert await gateway.drawing.line(r"^key 50 up", 10)


async def test_a_gamepad_of_a_client_is_one_of_the_box(crowd: Crowd, gateway: Gateway, desktop: str) -> None:
    async def fare(of: str) -> bool:
        instances = (await gateway.box.snapshot())["instances"]
        stats = next(each["stats"] for each in instances if each["session"] == desktop)
        return bool(stats) and str(stats["gamepads"]).startswith(of)

    client = await crowd.play(desktop)
    await client.until("s.control.readyState === 'open'")
    await client.send("input::gamepad-button", {"id": 0, "index": 0, "pressed": True})
    there_can_be = os.access("/dev/uinput", os.W_OK)
    await gateway.eventually(lambda: fare("1 in use" if there_can_be else "not passed on: /dev/uinput: "))
    await client.page.close()
    await gateway.eventually(lambda: fare("none in use"))


async def test_a_client_is_told_what_it_asks_for_and_nothing_else(crowd: Crowd, desktop: str) -> None:
    client = await crowd.play(desktop)
    await client.until("s.control.readyState === 'open'")
    await client.send("fanlight::ping", {"t": 1})
    await client.until("s.messages.length > 0")
    assert await client.page.evaluate("stream.messages.map((each) => each.type)") == ["fanlight::pong"]
    assert await client.page.evaluate("typeof stream.messages[0].data") == "string"


USELESS = (
    "not JSON",
    "[]",
    '{"type": 5}',
    '{"type":"input::key","data":{"code":"x","pressed":1}}',
    '{"type":"input::mouse-move","data":{"x":1e999,"y":0}}',
    '{"type":"vhal::get-all-prop-configs"}',
    '{"type":"sensor:event","data":{"sensor":"acceleration","x":1,"y":2,"z":3}}',
)


async def test_a_control_message_of_no_use_changes_nothing(
    crowd: Crowd, gateway: Gateway, desktop: str
) -> None:
    client = await crowd.play(desktop)
    await client.until("s.control.readyState === 'open'")
    for text in USELESS:
        await client.page.evaluate("(text) => stream.control.send(text)", text)
        await client.send("input::key", {"code": 5, "pressed": True})
        await client.send("input::key", {"code": 5, "pressed": False})
        assert await gateway.drawing.line(r"^key 56 up", 10), text
    await client.more_frames(3)


@pytest.mark.parametrize("kind", ["view", "control"])
async def test_who_comes_by_a_share_link_does_what_the_link_allows(
    crowd: Crowd, gateway: Gateway, desktop: str, kind: str
) -> None:
    owner, guest = await crowd.play(desktop), await crowd.client()
    await owner.until("s.control.readyState === 'open'")
    status, answer = await gateway.api("POST", f"/1.0/sessions/{desktop}/share", {"type": kind})
    assert status == 200, answer
    await guest.watch(answer["metadata"]["url"])
    await guest.until("s.control.readyState === 'open'")
    await guest.send("input::mouse-move", {"x": 200, "y": 210, "rx": 0, "ry": 0})
    if kind == "view":
        await guest.more_frames(2)  # what it said is dealt with by then
        await owner.send("input::mouse-move", {"x": 300, "y": 310, "rx": 0, "ry": 0})
    wanted = "200,210" if kind == "control" else "300,310"
    assert (await gateway.drawing.line(r"^motion (\d+,\d+) ", 10))[1] == wanted
    await owner.more_frames(2)
    await gateway.api("DELETE", f"/1.0/shares/{answer['metadata']['id']}")
