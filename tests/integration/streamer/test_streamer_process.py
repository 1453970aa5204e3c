"""A real streamer process, a real nats-server, and a viewer written from the wire protocol."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiortc import RTCSessionDescription

from appliance.bus import subjects
from appliance.bus.connection import Bus, BusAddress
from appliance.bus.messages import Role, StreamerHello
from appliance.bus.server import EmbeddedServer
from appliance.bus.stats import InstanceStats
from appliance.errors import LimitExceededError
from tests.support.ports import free_ports
from tests.support.room import SESSION, Visit, b64, media, ports, process, specification, streamer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_viewer_sees_the_picture_and_the_codec_that_it_prefers(
    server: EmbeddedServer, bus: Bus, visit: Visit, codec: str
) -> None:
    async with (
        streamer(bus, specification(server.address)),
        bus.subscribe(subjects.stats("i1"), InstanceStats) as stats,
    ):
        viewer = await visit()
        await viewer.open(label="tablet", address="192.0.2.9")
        role = await viewer.watch(codecs=(codec,))
        assert role == {"peer": viewer.peer, "role": "control", "width": 320, "height": 240}
        assert {(frame.width, frame.height) for frame in await viewer.frames(5)} == {(320, 240)}
        assert media(viewer.offer) == ["video", "audio", "application"]
        assert "playout-delay" in viewer.offer
        viewer.say("fanlight::ping", {"t": 12.5})
        assert (await viewer.told("fanlight::pong"))["t"] == 12.5
        assert (await viewer.told("fanlight::stats"))["codec"] == codec
        async for _, said in stats:
            if said.viewers and said.viewers[0].bitrate_kbps and said.viewers[0].frames_sent >= 5:
                break
        (seen,) = said.viewers
        assert (seen.id, seen.label, seen.codec, seen.state) == (viewer.peer, "tablet", codec, "connected")
        assert seen.pair in ("host", "prflx")
        assert (said.session, said.encoder != "", said.frames_encoded > 0) == (SESSION, True, True)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_viewer_that_loses_packets_gets_them_again(
    server: EmbeddedServer, bus: Bus, visit: Visit, codec: str
) -> None:
    async with (
        streamer(bus, specification(server.address, bitrate_kbps=4000)),
        bus.subscribe(subjects.stats("i1"), InstanceStats) as stats,
    ):
        viewer = await visit()
        await viewer.open()
        await viewer.watch(codecs=(codec,))
        before = (await viewer.frames(1))[0].pts
        viewer.lose(every=10)
        *_, last = await viewer.frames(60)
        assert 3000 < (last.pts - before) / 60 < 12_000, "frames are missing"
        async for _, said in stats:
            if said.viewers and said.viewers[0].nacks >= 5:
                break
        assert said.viewers[0].plis <= 1, "a keyframe had to help"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"enable_speaker": False}, ["video", "application"]),
        ({"enable_video": False}, ["audio", "application"]),
        ({"enable_video": False, "enable_speaker": False}, ["application"]),
    ],
)
async def test_media_that_the_client_switches_off_is_not_offered(
    server: EmbeddedServer, bus: Bus, visit: Visit, settings: dict[str, bool], expected: list[str]
) -> None:
    async with streamer(bus, specification(server.address)):
        viewer = await visit()
        await viewer.open()
        await viewer.watch(**settings)
        assert media(viewer.offer) == expected


async def test_a_new_client_of_the_anbox_dialect_takes_over_and_watchers_stay(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address)):
        watcher, first, second = await visit(), await visit(), await visit()
        await watcher.open(role=Role.VIEW)
        await watcher.watch()
        await first.open(exclusive=True, page=False)
        await first.negotiate()
        await first.frames(1)
        await second.open(exclusive=True, page=False)
        await first.expect("error")
        await first.expect_close()
        await first.closed.wait()
        await second.negotiate()
        await second.frames(1)
        assert watcher.pc.connectionState == "connected"


async def test_a_kicked_viewer_is_told_and_its_picture_ends(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address)):
        viewer = await visit()
        await viewer.open()
        await viewer.watch()
        await viewer.publish("kick", "enough")
        assert (await viewer.expect("fanlight::end"))["reason"] == "enough"
        await viewer.expect_close()
        await viewer.closed.wait()


async def test_a_viewer_of_an_earlier_streamer_is_asked_to_begin_anew(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address, resumed=True)):
        viewer = await visit()
        await viewer.open(resumed=True)
        await viewer.expect("fanlight::restart")
        await viewer.watch()


async def test_the_picture_outlives_its_socket_and_another_socket_adopts_it(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address)):
        viewer, socket = await visit(), await visit()
        await viewer.open()
        await viewer.watch()
        await viewer.publish("close")
        await viewer.frames(2)
        await socket.open(role=Role.VIEW)
        await socket.send("fanlight::adopt", peer="somebody else")
        await socket.expect("fanlight::restart")
        await socket.send("fanlight::adopt", peer=viewer.peer)
        await socket.expect("fanlight::adopted")
        assert await viewer.told("fanlight::role") == {
            "peer": socket.peer,
            "role": "view",
            "width": 320,
            "height": 240,
        }
        await socket.publish("kick")
        await socket.expect("fanlight::end")
        await viewer.closed.wait()


async def test_a_viewer_too_many_is_refused(server: EmbeddedServer, bus: Bus, visit: Visit) -> None:
    async with streamer(bus, specification(server.address, viewers_max=1)):
        viewer, other = await visit(), await visit()
        await viewer.open()
        with pytest.raises(LimitExceededError, match="has 1 viewers"):
            await other.open()
        await viewer.open()


async def test_hostile_signaling_is_answered_and_touches_nobody_else(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address)):
        watcher, viewer = await visit(), await visit()
        await watcher.open()
        await watcher.watch()
        await viewer.open()
        for text in ("{", '{"type":7}', "x" * 70_000, '{"type":"candidate","candidate":"eA=="}'):
            await viewer.publish("message", text)
            await viewer.expect("error")
        for sdp in ("", "v=0\r\n", "v=0\r\nm=video x\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"):
            await viewer.send("answer", sdp=b64(sdp))
            assert "no offer" in (await viewer.expect("error"))["message"]
            await viewer.send("settings", api_version=2)
            await viewer.expect("offer")
            await viewer.send("answer", sdp=b64(sdp))
            await viewer.expect("error")
        viewer.pc.createDataChannel("foo")
        await viewer.watch()
        for text in ("{", "[]", '{"type":"input::key","data":{"code":"x"}}', "\x00"):
            viewer.control.send(text)
        viewer.control.send(b"\xff\xfe")
        viewer.say("fanlight::ping", {"t": 1.0})
        assert (await viewer.told("fanlight::pong"))["t"] == 1.0
        await viewer.frames(2)
        await watcher.frames(2)


async def test_a_version_1_client_offers_itself(server: EmbeddedServer, bus: Bus, visit: Visit) -> None:
    async with streamer(bus, specification(server.address)):
        viewer = await visit()
        await viewer.open(exclusive=True, page=False)
        await viewer.send("settings", api_version=1)
        viewer.pc.addTransceiver("video", direction="recvonly")
        viewer.pc.addTransceiver("audio", direction="recvonly")
        await viewer.pc.setLocalDescription(await viewer.pc.createOffer())
        await viewer.send("offer", sdp=b64(viewer.pc.localDescription.sdp), dataChannels=[])
        answer = base64.b64decode((await viewer.expect("answer"))["sdp"]).decode()
        await viewer.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await viewer.frames(3)
        await viewer.opened.wait()
        viewer.say("fanlight::ping", {"t": 1.0})
        assert (await viewer.told("fanlight::pong"))["t"] == 1.0


async def test_a_viewer_who_disconnects_frees_its_place_at_once(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address, viewers_max=1)):
        viewer, other = await visit(), await visit()
        await viewer.open()
        await viewer.watch()
        viewer.say("stream::disconnect", {})
        await viewer.expect_close()
        await other.open()


async def test_an_outage_of_the_bus_stops_no_picture_and_is_followed_by_a_new_hello(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address)):
        viewer = await visit()
        await viewer.open()
        await viewer.watch()
        async with bus.subscribe(subjects.hello(SESSION), StreamerHello) as hellos:
            await bus.client.flush()
            assert server.pid
            os.kill(server.pid, signal.SIGKILL)
            await viewer.frames(10)
            assert (await anext(hellos))[1] == StreamerHello(instance="i1")
        await viewer.open(resumed=True)
        await viewer.frames(2)
        other = await visit()
        await other.open()
        await other.watch()
        await other.frames(1)


async def test_it_ends_with_its_parent_and_on_sigterm_within_two_seconds(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    loop = asyncio.get_running_loop()
    for end in (lambda child: child.terminate(), lambda child: child.stdin.close()):
        async with streamer(bus, specification(server.address)) as child:
            viewer = await visit()
            await viewer.open()
            await viewer.watch()
            began = loop.time()
            end(child)
            assert await child.wait() == 0
            assert loop.time() - began < 2
            await viewer.closed.wait()


async def test_a_bad_specification_is_named() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "appliance.streamer",
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await child.communicate(b'{"instance": "i1"}\n')
    assert child.returncode == 2
    assert said.decode().splitlines()[-1].startswith("specification: session: ")


async def test_without_a_bus_it_says_so(tmp_path: Path) -> None:
    spec = specification(BusAddress("nats://127.0.0.1:1"))
    async with process(spec, stderr=asyncio.subprocess.PIPE) as child:
        assert child.stderr
        said = await child.stderr.read()
        assert await child.wait() == 1
        assert "bus: nats://127.0.0.1:1" in said.decode().splitlines()[-1]


async def test_without_a_session_it_idles_until_told_to_end(server: EmbeddedServer) -> None:
    async with process(specification(server.address, session=None), stderr=asyncio.subprocess.PIPE) as child:
        assert child.stderr
        while b"without a session" not in await child.stderr.readline():
            continue
        child.terminate()
        assert await child.wait() == 0
        assert await child.stderr.read() == b""


async def test_streamers_side_by_side_take_a_port_each_and_a_killed_one_its_own_again(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    wanted = free_ports(2)
    one = specification(server.address, udp_port=wanted.start, udp_ports=2)
    two = one.model_copy(update={"instance": "i2", "session": "s2"})
    async with bus.subscribe(subjects.stats("i1"), InstanceStats) as stats:
        async with streamer(bus, one) as first:
            async with process(two, stderr=asyncio.subprocess.PIPE) as second:
                assert second.stderr
                async for line in second.stderr:
                    if b"media goes through" in line:
                        break
                assert f"UDP {wanted.start + 1}" in line.decode()
            viewer = await visit()
            await viewer.open()
            await viewer.watch()
            await viewer.frames(1)
            assert ports(viewer.offer) == {wanted.start}
            first.kill()
            await first.wait()
        async with streamer(bus, one):
            viewer = await visit()
            await viewer.open()
            await viewer.watch()
            await viewer.frames(1)
            assert ports(viewer.offer) == {wanted.start}
            assert {(await anext(stats))[1].udp_port for _ in range(2)} == {wanted.start}


async def test_port_0_gives_every_viewer_ports_of_its_own(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    async with streamer(bus, specification(server.address, udp_port=0)):
        one, two = await visit(), await visit()
        for viewer in (one, two):
            await viewer.open()
            await viewer.watch()
        assert not ports(one.offer) & ports(two.offer)


def test_a_library_starts_no_thread_for_each_core_and_programs_may_have_them() -> None:
    lines = (
        "import os, appliance.streamer.__main__ as main",
        "with main._one_thread(): import numpy",
        "print(len(os.listdir('/proc/self/task')), 'OPENBLAS_NUM_THREADS' in os.environ)",
    )
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", "False"]
