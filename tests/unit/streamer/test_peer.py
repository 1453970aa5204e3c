import asyncio
import base64

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from appliance.bus.messages import Role, ScreenWish
from appliance.bus.peer_messages import PeerReply
from appliance.signaling import kinesis
from appliance.signaling.anbox import Candidate
from appliance.signaling.kinesis import Action, Request
from appliance.streamer import peer as peer_module
from appliance.streamer.budget import Budget
from tests.support.lone_peer import House

pytestmark = pytest.mark.unit


async def test_a_viewer_that_leaves_without_a_socket_is_gone(house: House) -> None:
    await house.connect()
    house.peer.closed()
    house.peer.tick({})
    assert not house.peer.ended
    await house.pc.close()
    await house.peer._ended.wait()


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


async def test_who_connects_anew_without_end_is_slowed_down(house: House) -> None:
    house.peer._attempts = Budget(peer_module._ATTEMPTS_BURST, 3600)  # also on a slow machine
    for _ in range(8):
        house.send("settings")
        await house.expect("offer")
    house.send("settings")
    assert "slow down" in (await house.expect("error"))["message"]
    house.send("discover")
    await house.expect("resp:discover")


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
