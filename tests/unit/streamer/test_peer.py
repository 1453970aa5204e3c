import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.bus.messages import Role, ScreenWish
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.spec import StreamerSpec
from appliance.signaling import kinesis
from appliance.signaling.anbox import Candidate
from appliance.signaling.control import ControlMessage, Key, Release
from appliance.signaling.kinesis import Action, Request
from appliance.streamer import control_channel
from appliance.streamer import peer as peer_module
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.budget import Budget
from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.peer import Peer
from appliance.streamer.sources import Sources
from appliance.streamer.stage import Stage
from appliance.streamer.tracks import SoundFan

pytestmark = pytest.mark.unit

SPEC = StreamerSpec(instance="i", session="s", application="a", kind="test-pattern", message_bytes=32768)
KEY = {"type": "fanlight::key", "data": {"code": "KeyA", "key": "a", "pressed": True}}


class Input:
    def __init__(self) -> None:
        self.handled: asyncio.Queue[tuple[str, Role, ControlMessage]] = asyncio.Queue()
        self.released: asyncio.Queue[str] = asyncio.Queue()
        self.held = False
        self.plugged = False

    def handle(self, viewer: str, role: Role, message: ControlMessage) -> None:
        if isinstance(message, Key) and message.key == "!":
            raise ZeroDivisionError
        self.held = isinstance(message, Key) and message.pressed
        self.handled.put_nowait((viewer, role, message))

    def holds(self, viewer: str) -> bool:
        return self.held or self.plugged

    def release(self, viewer: str) -> None:
        self.held = self.plugged = False
        self.released.put_nowait(viewer)


class House:
    """One peer without a bus, and the browser behind it."""

    def __init__(self, **opening: Any) -> None:
        self.input = Input()
        self.broadcast = Broadcast(Forbidden)
        self.size, self.fps = (640, 480), 60
        self.problem = ""
        self.replies: asyncio.Queue[tuple[str, PeerReply]] = asyncio.Queue()
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.control = self.pc.createDataChannel("control")
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.control.on("message", self._told)
        stage = Stage(
            spec=SPEC,
            sources=Sources({Codec.H264: self.broadcast}, SoundFan()),
            input=self.input,
            size=lambda: self.size,
            fps=lambda: self.fps,
            problem=lambda: self.problem,
            resize=self._resize,
        )
        self.peer = Peer(
            PeerEvent(kind="open", peer="p1", **{"role": Role.CONTROL, "page": True} | opening),
            stage,
            reply=lambda peer, reply: self.replies.put_nowait((peer, reply)),
            adopt=lambda *_: False,
        )

    async def _resize(self, wish: ScreenWish) -> None:
        self.size, self.fps = (wish.width or 0, wish.height or 0), wish.fps or 0

    def _told(self, text: str) -> None:
        message = json.loads(text)
        self.told.put_nowait((message["type"], json.loads(message["data"])))

    def send(self, kind: str, **fields: Any) -> None:
        self.peer.receive(json.dumps({"type": kind, **fields}))

    async def expect(self, kind: str) -> dict[str, Any]:
        message = json.loads((await self.replies.get())[1].text)
        assert message["type"] == kind, message
        return dict(message)

    async def connect(self) -> None:
        await self.negotiate()
        assert await self.told.get() == (
            "fanlight::role",
            {"peer": self.peer.id, "role": self.peer.role.value, "width": 640, "height": 480},
        )
        while not self.input.released.empty():
            self.input.released.get_nowait()

    async def negotiate(self) -> None:
        self.send("settings")
        offer = base64.b64decode((await self.expect("offer"))["sdp"]).decode()
        await self.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        self.send("answer", sdp=base64.b64encode(self.pc.localDescription.sdp.encode()).decode())

    def say(self, message: dict[str, Any]) -> None:
        self.control.send(json.dumps(message))

    def cut(self) -> None:
        """From now on nothing of the browser arrives."""
        for protocol in self.pc.sctp.transport.transport._connection._protocols:
            protocol.transport.sendto = lambda *_: None


class Forbidden:
    def __init__(self) -> None:
        raise NotImplementedError


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with asyncio.TaskGroup() as group:
        group.create_task(house.peer.run())
        yield house
        house.peer.end("the test is over")
    await house.pc.close()


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


async def test_a_viewer_that_leaves_without_a_socket_is_gone(house: House) -> None:
    await house.connect()
    house.peer.closed()
    house.peer.tick({})
    assert not house.peer.ended
    await house.pc.close()
    await house.peer._ended.wait()


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


async def test_settings_again_begin_a_new_connection(house: House) -> None:
    await house.connect()
    old, house.pc = house.pc, RTCPeerConnection(RTCConfiguration(iceServers=[]))
    house.control = house.pc.createDataChannel("control")
    house.control.on("message", house._told)
    await house.connect()
    house.say({"type": "fanlight::ping", "data": {"t": 3}})
    assert (await house.told.get())[1]["t"] == 3.0
    await old.close()
    assert not house.peer.ended


async def test_a_problem_is_told_before_the_offer(house: House) -> None:
    house.problem = "display :0 is gone"
    house.send("settings")
    assert (await house.expect("fanlight::wait"))["reason"] == "display :0 is gone"
    await house.expect("offer")


async def test_a_peer_whose_socket_closed_before_it_connected_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.peer.closed()
    house.peer.tick({})
    assert not house.peer.ended
    monkeypatch.setattr(peer_module, "ORPHAN_SECONDS", -1)
    house.peer.tick({})
    assert house.peer.ended
    assert house.replies.empty()


async def test_a_connection_that_never_comes_about_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_SECONDS", -1)
    house.send("settings")
    await house.expect("offer")
    house.peer.tick({})
    assert "no media could reach you" in (await house.expect("error"))["message"]
    house.send("answer", sdp=base64.b64encode(b"v=0\r\n").decode())
    assert "no offer" in (await house.expect("error"))["message"]


async def test_candidates_that_come_before_their_offer_are_kept_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added: asyncio.Queue[str] = asyncio.Queue()

    async def add(_: peer_module.MediaConnection, candidate: Candidate) -> None:
        added.put_nowait(candidate.candidate)

    monkeypatch.setattr(peer_module.MediaConnection, "add_candidate", add)
    monkeypatch.setattr(peer_module, "_EARLY_MOST", 2)
    house = House(dialect="kinesis")
    house.pc.addTransceiver("video", direction="recvonly")
    await house.pc.setLocalDescription(await house.pc.createOffer())
    offer = kinesis.description("offer", house.pc.localDescription.sdp)
    early = [kinesis.candidate(Candidate(f"candidate:{number}", "0", 0)) for number in range(3)]
    async with asyncio.TaskGroup() as group:
        group.create_task(house.peer.run())
        for each in early:
            house.peer.receive(kinesis.request(Request(Action.CANDIDATE, each)))
        house.peer.receive(kinesis.request(Request(Action.OFFER, offer)))
        house.peer.receive(kinesis.request(Request(Action.CANDIDATE, early[2])))
        assert [await added.get() for _ in range(3)] == ["candidate:0", "candidate:1", "candidate:2"]
        house.peer.end("the test is over")
    assert added.empty()
    await house.pc.close()


async def test_sizes_and_numbers_of_messages_are_limited(house: House) -> None:
    house.peer.receive("x" * 32769)
    assert "larger than 32768 bytes" in (await house.expect("error"))["message"]
    for _ in range(129):
        house.send("discover")
    assert "too many at once" in (await house.expect("error"))["message"]


async def test_the_end_of_an_anbox_client_is_an_error_and_of_a_page_an_end() -> None:
    for page, kind in ((False, "error"), (True, "fanlight::end")):
        house = House(page=page)
        house.peer.end("enough")
        await house.expect(kind)
        assert (await house.replies.get())[1] == PeerReply(kind="close", text="enough")
        await house.pc.close()


async def test_who_said_that_it_leaves_is_not_told_why(house: House) -> None:
    await house.connect()
    house.say({"type": "stream::disconnect", "data": {}})
    assert (await house.replies.get())[1] == PeerReply(kind="close", text="left")
    assert house.peer.took_leave


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


async def test_a_candidate_of_no_use_is_an_error_only_where_nothing_is_connected(house: House) -> None:
    useless = {"candidate": base64.b64encode(b"candidate:x").decode(), "sdpMid": "0"}
    house.send("settings")
    await house.expect("offer")
    house.send("candidate", **useless)
    assert "candidate" in (await house.expect("error"))["message"]
    await house.connect()
    for _ in range(70):
        house.send("candidate", **useless)
    async with asyncio.timeout(5):
        while house.peer._refused < 71:
            await asyncio.sleep(0)
    house.send("discover")
    await house.expect("resp:discover")


async def test_what_is_known_of_a_viewer(house: House) -> None:
    assert house.peer.stats().state == "waiting"
    await house.connect()
    stats = house.peer.stats()
    assert (stats.id, stats.role, stats.codec, stats.rtt_ms) == ("p1", Role.CONTROL, "H264", None)
    assert stats.pair in ("host", "prflx")


@pytest.mark.parametrize(("exclusive", "size", "fps"), [(True, (800, 600), 30), (False, (640, 480), 60)])
async def test_who_takes_the_controls_has_the_screen_it_asked_for_before_it_is_answered(
    exclusive: bool, size: tuple[int, int], fps: int
) -> None:
    house = House(exclusive=exclusive, screen=ScreenWish(width=800, height=600, fps=30))
    async with asyncio.TaskGroup() as group:
        group.create_task(house.peer.run())
        house.send("discover")
        assert (await house.expect("resp:discover"))["fps"] == fps
        house.send("settings")
        await house.expect("offer")
        assert house.size == size
        house.peer.end("the test is over")
    await house.pc.close()


async def test_a_message_that_is_not_known_is_not_answered(house: House) -> None:
    house.send("something::new", of="tomorrow")
    house.send("discover")
    await house.expect("resp:discover")


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


async def test_who_connects_anew_without_end_is_slowed_down(house: House) -> None:
    house.peer._attempts = Budget(peer_module._ATTEMPTS_BURST, 3600)  # also on a slow machine
    for _ in range(8):
        house.send("settings")
        await house.expect("offer")
    house.send("settings")
    assert "slow down" in (await house.expect("error"))["message"]
    house.send("discover")
    await house.expect("resp:discover")


async def test_who_asks_for_keyframes_without_end_gets_a_few(house: House) -> None:
    await house.connect()
    before = house.broadcast.keyframe_requests
    for number in range(50):
        house.say({"type": "fanlight::keyframe", "data": {}})
        house.say({"type": "fanlight::ping", "data": {"t": number}})
    while (await house.told.get())[1].get("t") != 49:
        pass
    assert 0 < house.broadcast.keyframe_requests - before <= 10


async def test_a_viewer_that_leaves_while_its_connection_closes_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, closing, closed = House(), asyncio.Event(), asyncio.Event()
    close = peer_module.MediaConnection.close

    async def slowly(self: peer_module.MediaConnection) -> None:
        await close(self)
        closing.set()
        await closed.wait()

    monkeypatch.setattr(peer_module.MediaConnection, "close", slowly)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(house.peer.run())
        house.send("offer", sdp="")
        await closing.wait()
        closed.set()
        house.peer.end("left")
        async with asyncio.timeout(5):
            await running
    await house.pc.close()
