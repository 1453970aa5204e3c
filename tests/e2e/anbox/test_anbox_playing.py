"""Both flows of the Anbox dialect end in a picture, with what the client asked for."""

import asyncio
from typing import Any

import pytest

from tests.e2e.anbox.clients import Crowd, Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

SCREEN = {"width": 800, "height": 600, "fps": 15, "density": 240}


@pytest.mark.parametrize("application", ["test-pattern", "command"])
async def test_a_client_that_creates_a_session_gets_the_screen_it_asked_for(
    crowd: Crowd, application: str
) -> None:
    client = await crowd.play({"app": application, "screen": SCREEN})
    report = await client.report()
    assert (report["width"], report["height"]) == (800, 600)
    await client.more_frames()
    await client.page.evaluate("stream.disconnect()")


async def test_a_client_joins_the_desktop_that_has_its_session_from_birth(
    crowd: Crowd, gateway: Gateway, desktop: str
) -> None:
    found = await gateway.get(f"/1.0/sessions/{desktop}")
    assert (found["app"], found["status"]) == ("desktop", "active")
    client = await crowd.play(desktop)
    report = await client.report()
    assert (report["width"], report["height"]) == (1280, 720)
    await client.more_frames()


async def test_the_offer_is_what_the_dialect_wants(crowd: Crowd, pattern: str) -> None:
    client = await crowd.play(pattern)
    report = await client.report()
    assert [line.split()[0] for line in report["lines"]] == ["m=video", "m=audio", "m=application"]
    assert report["directions"] == [["video", "recvonly"], ["audio", "recvonly"]]
    audio, video = report["streams"]["audio"], report["streams"]["video"]
    assert audio
    assert video
    assert audio != video, "one stream for both lets the sound hold up the picture"
    sdp = await client.page.evaluate("stream.offered")
    assert sdp.count("a=setup:actpass") == 3
    assert "playout-delay" in sdp
    await client.until("r.socket === 3")  # closed by the client once connected
    assert [name for name, _ in await client.log()][:5] == [
        "session", "socket", "resp:discover", "offer", "ice checking",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({"audio": False}, ["m=video", "m=application"]),
        ({"video": False}, ["m=audio", "m=application"]),
        ({"audio": False, "video": False}, ["m=application"]),
    ],
    ids=["picture only", "sound only", "neither"],
)
async def test_what_a_client_does_not_want_is_not_offered(
    crowd: Crowd, pattern: str, options: dict[str, Any], lines: list[str]
) -> None:
    client = await crowd.play(pattern, **options)
    assert [line.split()[0] for line in (await client.report())["lines"]] == lines
    await client.until("s.control.readyState === 'open'")


@pytest.mark.parametrize(
    ("codecs", "codec"),
    [
        (["H264"], "video/H264"),
        (["VP8", "H264"], "video/VP8"),
        (["AV1", "VP8"], "video/VP8"),
        (None, "video/H264"),
    ],
    ids=["H264 only", "VP8 first", "one unknown", "no wish"],
)
async def test_the_codec_is_the_one_the_client_prefers(
    crowd: Crowd, pattern: str, codecs: list[str] | None, codec: str
) -> None:
    client = await crowd.play(pattern, codecs=codecs)
    assert (await client.report())["codec"] == codec


async def test_a_version_1_client_makes_the_offer_itself(crowd: Crowd, pattern: str) -> None:
    client = await crowd.play(pattern, apiVersion=1, dataChannels=["extra"])
    report = await client.report()
    assert report["directions"] == [["audio", "recvonly"], ["video", "recvonly"]]
    await client.until("s.control.readyState === 'open' && r.channels.extra === 'open'")
    await client.more_frames()


async def test_a_microphone_and_a_camera_may_send(crowd: Crowd, pattern: str) -> None:
    client = await crowd.play(pattern, microphone=True, camera=True)
    report = await client.report()
    assert report["directions"] == [["video", "sendrecv"], ["audio", "sendrecv"]]
    await client.more_frames()


async def test_a_microphone_alone_leaves_the_picture_one_way(crowd: Crowd, pattern: str) -> None:
    client = await crowd.play(pattern, microphone=True)
    assert (await client.report())["directions"] == [["video", "recvonly"], ["audio", "sendrecv"]]


async def test_data_channels_open_besides_the_control_channel(crowd: Crowd, pattern: str) -> None:
    client = await crowd.play(pattern, dataChannels=["foo", "bar"])
    report = await client.until("Object.values(r.channels).every((state) => state === 'open')")
    assert set(report["channels"]) == {"foo", "bar"}
    ids = await client.page.evaluate(
        "[stream.control.id, ...Object.values(stream.channels).map((c) => c.id)]"
    )
    assert ids == [0, 2, 4], "the client is DTLS client"


async def test_candidates_may_come_before_the_answer(crowd: Crowd, pattern: str) -> None:
    client = await crowd.play(pattern, answerLate=True)
    await client.more_frames()


async def test_a_session_is_created_and_active_once_its_application_shows_something(
    crowd: Crowd, gateway: Gateway
) -> None:
    status, answer = await gateway.api("POST", "/1.0/sessions", {"app": "test-pattern"})
    made = answer["metadata"]
    assert status == 201
    assert made["status"] == "created"
    assert made["stun_servers"] == []
    assert made["joinable"] is False
    active = await gateway.until(made["id"], "active")
    assert active["container_id"]
    client = await crowd.play(made["id"])
    await client.page.evaluate("stream.disconnect()")
    await gateway.until(made["id"], "terminated")


async def test_many_sessions_of_one_application_stand_side_by_side(crowd: Crowd, pattern: str) -> None:
    first, second = await asyncio.gather(
        crowd.play(pattern), crowd.play({"app": "test-pattern", "screen": {**SCREEN, "width": 641}})
    )
    assert (await second.report())["width"] == 642, "odd sizes are rounded up"
    assert await first.session() != await second.session()
    await first.more_frames()
    await second.page.evaluate("stream.disconnect()")
