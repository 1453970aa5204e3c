"""What a viewer sends goes where it belongs, if it may."""

import pytest
from aiortc.rtp import RtpPacket

from appliance.streamer.microphone import Speaker
from appliance.streamer.uplink import Uplink

pytestmark = pytest.mark.unit

OPUS, VP8, REPAIR = 111, 97, 98


def packet(payload_type: int, *, marker: bool = False, payload: bytes = b"x") -> RtpPacket:
    made = RtpPacket(payload_type=payload_type, marker=int(marker), timestamp=960)
    made.payload = payload
    return made


def uplink(*, may: bool = True, speaker: Speaker | None = None) -> Uplink:
    return Uplink(speaker, opus={OPUS}, video={VP8}, may=lambda: may)


def test_voice_and_picture_are_told_apart() -> None:
    taken = uplink()
    for each in (packet(OPUS), packet(VP8), packet(VP8, marker=True), packet(REPAIR, marker=True)):
        taken.take(each)
    assert (taken.microphone_packets, taken.camera_frames) == (1, 1)


def test_the_voice_goes_to_the_microphone() -> None:
    spoken: list[bool] = []
    taken = uplink(speaker=Speaker(lambda: spoken.append(True), lambda: True))
    taken.take(packet(OPUS))
    taken.take(packet(OPUS, payload=b""))
    assert (taken.microphone_packets, spoken) == (1, [True])


def test_who_only_watches_is_not_heard() -> None:
    taken = uplink(may=False)
    taken.take(packet(OPUS))
    taken.take(packet(VP8, marker=True))
    assert (taken.microphone_packets, taken.camera_frames) == (0, 0)
