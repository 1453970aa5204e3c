import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from appliance.errors import InvalidInputError, LimitExceededError
from appliance.signaling.anbox import Candidate, Settings
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.budget import Budget
from appliance.streamer.connection import MediaConnection
from appliance.streamer.descriptions import split_mdns
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.rtp.bandwidth import BandwidthEstimator
from appliance.streamer.sources import Sources
from appliance.streamer.subscription import Subscription
from appliance.streamer.tracks import SoundFan, VideoTrack
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


def unused() -> None:
    raise NotImplementedError


class StillRendition:
    """Runs already, and writes down what it is asked for."""

    current = False
    info = SourceInfo("still", "none", "", False, Codec.H264, 2, 2)

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.joined = asyncio.Event()

    @contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None]) -> Iterator[Subscription]:
        self.asked.append("joined")
        self.joined.set()
        yield Subscription(lambda: self.asked.append("fed from"), ready)

    def request_keyframe(self) -> None:
        self.asked.append("agreed")


class Rested(VideoTrack):
    def __init__(self, since: float | None) -> None:
        super().__init__(unused)
        self._since = since

    @property
    def rested_since(self) -> float | None:
        return self._since


def calls_of(monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> list[None]:
    """Each call of that method, which does nothing any more."""
    calls: list[None] = []
    monkeypatch.setattr(target, name, lambda: calls.append(None))
    return calls


def connection() -> MediaConnection:
    renditions = {codec: Broadcast(unused) for codec in Codec}
    return MediaConnection(Sources(renditions, SoundFan()), [], changed=print, channel=print)


async def offered(**settings: object) -> str:
    ours = connection()
    try:
        return await ours.offer(Settings(**settings))  # type: ignore[arg-type]
    finally:
        await ours.close()


def sections(sdp: str) -> dict[str, list[str]]:
    """Lines by kind of media."""
    found: dict[str, list[str]] = {}
    for line in sdp.splitlines():
        if line.startswith("m="):
            current = found.setdefault(line[2:].split()[0], [])
        if found:
            current.append(line)
    return found


def codecs(lines: list[str]) -> list[str]:
    return [line.split()[1].split("/")[0] for line in lines if line.startswith("a=rtpmap")]


async def test_the_offer_has_what_the_sdk_needs() -> None:
    found = sections(await offered())
    assert list(found) == ["video", "audio", "application"]
    for kind in ("video", "audio"):
        assert "a=sendonly" in found[kind]
        assert any(line.startswith("a=msid:") for line in found[kind])
        assert "a=setup:actpass" in found[kind]
    assert codecs(found["video"]) == ["H264", "rtx", "H264", "rtx", "VP8", "rtx"]
    assert codecs(found["audio"]) == ["opus", "red"]
    assert all("packetization-mode=1" in line for line in found["video"] if "profile-level-id" in line)
    assert any(line.startswith("a=candidate:") for line in found["video"])


async def test_the_codecs_are_in_the_order_that_the_client_prefers() -> None:
    found = sections(await offered(preferred_codecs=("AV1", "VP8")))
    assert codecs(found["video"])[0] == "VP8"


async def test_repair_packets_are_offered_to_who_knows_them() -> None:
    video = sections(await offered(preferred_codecs=("H264", "FLEXFEC-03")))["video"]
    assert codecs(video)[0] == "H264"
    assert codecs(video)[-1] == "flexfec-03"
    fid, repair = (line.split()[1:] for line in video if line.startswith("a=ssrc-group:"))
    assert f"a=ssrc-group:FEC-FR {fid[0]} {repair[1]}" in video
    cnames = {line.split()[0]: line.split()[1] for line in video if line.startswith("a=ssrc:")}
    assert list(cnames) == [f"a=ssrc:{ssrc}" for ssrc in (*fid, repair[1])]
    assert len(set(cnames.values())) == 1
    assert "flexfec" not in await offered(preferred_codecs=("H264",))


async def test_who_takes_nothing_but_repair_packets_is_refused() -> None:
    ours = connection()
    offer = await ours.offer(Settings(preferred_codecs=("FLEXFEC-03",), enable_speaker=False))
    kept = [line for line in offer.replace("actpass", "active").splitlines() if "a=rtpmap" not in line]
    index = next(at for at, line in enumerate(kept) if line.startswith("m=video"))
    kept[index] = " ".join([*kept[index].split()[:3], "103"])
    answer = "\r\n".join([line for line in kept if not line.startswith(("a=fmtp", "a=rtcp-fb"))])
    answer = answer.replace("a=rtcp-mux", "a=rtpmap:103 flexfec-03/90000\r\na=rtcp-mux") + "\r\n"
    with pytest.raises(InvalidInputError, match="answer: "):
        await ours.take_answer(answer)
    await ours.close()


async def test_microphone_and_camera_make_their_media_bidirectional() -> None:
    found = sections(await offered(enable_microphone=True, enable_camera=True))
    assert "a=sendrecv" in found["audio"]
    assert "a=sendrecv" in found["video"]


@pytest.mark.parametrize(
    ("sdp", "reason"),
    [
        ("", "must have 1 to 8 media"),
        ("v=x\r\n", "malformed"),
        ("v=0\r\nm=video x\r\n", "malformed"),
        ("v=0\r\n" + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" * 9, "must have 1 to 8 media"),
        ("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", "no DTLS fingerprint"),
        ("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 97\r\na=fmtp:99 apt=1\r\n", "malformed"),
        ("v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF 97\r\na=mid:0\r\n", "not those of the offer"),
    ],
)
async def test_a_bad_answer_is_refused_with_what_is_wrong(sdp: str, reason: str) -> None:
    ours = connection()
    await ours.offer(Settings())
    with pytest.raises(InvalidInputError, match=reason):
        await ours.take_answer(sdp)
    await ours.close()


async def test_an_answer_without_an_offer_is_refused() -> None:
    ours = connection()
    with pytest.raises(InvalidInputError, match="no offer"):
        await ours.take_answer("v=0\r\n")
    await ours.close()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("BUNDLE 0 1 2", "BUNDLE 1 0 2", "BUNDLE must have"),
        ("BUNDLE 0 1 2", "BUNDLE 7", "BUNDLE must have"),
        ("a=mid:1", "a=mid:0", "mid of its own"),
        ("a=mid:1\r\n", "", "mid of its own"),
        ("a=mid:1\r\n", "a=mid:1\r\na=rtpmap:300 rtx/90000\r\na=fmtp:300 apt=97\r\n", "beyond 127"),
    ],
)
async def test_an_answer_that_would_confuse_the_transports_is_refused(
    old: str, new: str, reason: str
) -> None:
    ours = connection()
    answer = (await ours.offer(Settings())).replace("actpass", "active")
    with pytest.raises(InvalidInputError, match=reason):
        await ours.take_answer(answer.replace(old, new))
    await ours.close()


async def test_an_answer_that_rejects_the_picture_says_so() -> None:
    ours = connection()
    offer = await ours.offer(Settings(enable_speaker=False))
    answer = offer.replace("m=video " + offer.split("m=video ")[1].split()[0], "m=video 0")
    with pytest.raises(InvalidInputError, match="rejects video"):
        await ours.take_answer(answer.replace("actpass", "active").replace("BUNDLE 0 1", "BUNDLE 1"))
    await ours.close()


async def test_a_keyframe_is_asked_for_while_the_connection_comes_about_and_not_again() -> None:
    async with Loopback(StillRendition()) as loopback:
        await loopback.rendition.joined.wait()
        assert loopback.rendition.asked == ["agreed", "joined"]


async def test_no_keyframe_is_asked_for_where_the_last_one_will_do() -> None:
    rendition = StillRendition()
    rendition.current = True
    async with Loopback(rendition) as loopback:
        await loopback.rendition.joined.wait()
        assert rendition.asked == ["joined"]


async def test_who_sees_a_picture_asks_where_it_is_fed_from() -> None:
    async with Loopback(StillRendition()) as loopback:
        await loopback.rendition.joined.wait()
        loopback.ours.request_keyframe()
        assert loopback.rendition.asked == ["agreed", "joined", "fed from"]


async def test_candidates_are_limited() -> None:
    ours = connection()
    await ours.offer(Settings())
    candidate = Candidate("candidate:", "0", 0)
    for _ in range(64):
        await ours.add_candidate(candidate)
    with pytest.raises(LimitExceededError):
        await ours.add_candidate(candidate)
    await ours.close()


def test_mdns_candidates_are_split_off_with_their_media() -> None:
    named = "a=candidate:1 1 udp 2113937151 4e2a.local 50000 typ host"
    plain = "a=candidate:2 1 udp 2113937151 192.0.2.1 50000 typ host"
    sdp = f"v=0\r\nm=audio 9 x 1\r\n{plain}\r\nm=video 9 x 1\r\n{named}\r\na=end-of-candidates\r\n"
    kept, split = split_mdns(sdp)
    assert split == [Candidate(named[2:], None, 1)]
    assert kept == f"v=0\r\nm=audio 9 x 1\r\n{plain}\r\nm=video 9 x 1\r\n"
    assert split_mdns(kept) == (kept, [])


async def test_who_is_alone_gets_keyframes_sooner_than_who_shares_the_picture() -> None:
    rendition = Broadcast(unused)
    sources = Sources({Codec.H264: rendition}, SoundFan())
    one, other = (MediaConnection(sources, [], changed=print, channel=print) for _ in range(2))
    for each in (one, other):
        each.codec = Codec.H264
    for _ in range(10):
        one.request_keyframe()
    assert rendition.keyframe_requests == 2
    await other.close()
    for _ in range(10):
        one.request_keyframe()
    assert rendition.keyframe_requests == 2 + 4
    await one.close()


@pytest.mark.parametrize(
    ("controls", "loss", "keyframes"), [(True, 0.02, 4), (True, 0.0, 2), (False, 0.02, 2)]
)
async def test_in_company_who_controls_and_loses_packets_does_not_wait_for_keyframes(
    controls: bool, loss: float, keyframes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BandwidthEstimator, "loss", property(lambda _: loss))
    rendition = Broadcast(unused)
    sources = Sources({Codec.H264: rendition}, SoundFan())
    one, other = (
        MediaConnection(sources, [], changed=print, channel=print, controls=lambda: controls)
        for _ in range(2)
    )
    one.codec = Codec.H264
    for _ in range(10):
        one.request_keyframe()
    assert rendition.keyframe_requests == keyframes
    await one.close()
    await other.close()


async def test_who_misses_nothing_on_a_still_screen_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rendition = Broadcast(unused)
    refreshed = calls_of(monkeypatch, rendition, "refresh")
    ours = MediaConnection(Sources({Codec.H264: rendition}, SoundFan()), [], changed=print, channel=print)
    ours.codec = Codec.H264
    ours.track = Rested(time.monotonic() - 3)
    complete = True
    monkeypatch.setattr(BandwidthEstimator, "all_arrived", property(lambda _: complete))
    ours._picture_missed()
    assert (rendition.keyframe_requests, len(refreshed)) == (0, 0)
    ours._picture_missed()
    assert rendition.keyframe_requests == 1, "it insists"
    complete = False
    ours.track = Rested(time.monotonic() - 2.9)
    ours._picture_missed()
    assert (rendition.keyframe_requests, len(refreshed)) == (1, 1)
    for rested in (time.monotonic() - 0.1, None):
        ours.track = Rested(rested)
        before = rendition.keyframe_requests
        ours._keyframes = ours._shared_keyframes = Budget(9, 1)
        ours._picture_missed()
        assert rendition.keyframe_requests == before + 1
    await ours.close()


async def test_a_server_of_many_viewers_gets_keyframes_as_if_it_were_alone() -> None:
    rendition = Broadcast(unused)
    sources = Sources({Codec.H264: rendition}, SoundFan())
    ours = [
        MediaConnection(sources, [], changed=print, channel=print, for_many=many) for many in (True, False)
    ]
    ours[0].codec = Codec.H264
    for _ in range(10):
        ours[0].request_keyframe()
    assert rendition.keyframe_requests == 4
    for each in ours:
        await each.close()


async def test_the_viewer_is_told_nothing_of_our_own_channel() -> None:
    opened: list[str] = []
    async with Loopback(StillRendition()) as loopback:
        loopback.theirs.on("datachannel", lambda channel: opened.append(channel.label))
        answered = asyncio.Event()
        control = loopback.theirs.createDataChannel("control")
        control.on("open", answered.set)  # whatever we had said to open ours was said before
        await answered.wait()
    assert "m=application" in loopback.offer
    assert opened == []


async def test_in_an_answer_we_are_the_dtls_server_of_all_bundled_media() -> None:
    ours = connection()
    try:
        offer = (await offered()).replace("a=sendonly", "a=recvonly")
        video, audio = offer.index("m=video"), offer.index("m=audio")
        bundled = offer[:audio] + re.sub(
            r"m=audio \d+ (.*)", r"m=audio 0 \1\na=bundle-only", offer[audio:], count=1
        )
        assert video < audio
        answer, _ = await ours.answer(bundled, Settings())
    finally:
        await ours.close()
    found = sections(answer)
    for kind in ("video", "audio"):
        assert "a=setup:passive" in found[kind]
        assert "a=sendonly" in found[kind]
        assert not found[kind][0].startswith(f"m={kind} 0 ")
