"""From packets to pictures: what encoders really write, cut short, mixed up and made up."""

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import RtpPacket
from av.video.codeccontext import VideoCodecContext
from hypothesis import given
from hypothesis import strategies as st

from appliance.streamer.frames import Codec
from appliance.streamer.ingest.assembly import Arrived, Assembler
from appliance.streamer.ingest.pictures import START, Reader, h264_size

pytestmark = pytest.mark.unit

SPS, PPS = b"\x67", b"\x68"


def film(codec: Codec, frames: int = 3, size: tuple[int, int] = (322, 242)) -> list[list[bytes]]:
    """The payloads of each frame; only the first is a keyframe."""
    encoder = H264Encoder() if codec is Codec.H264 else Vp8Encoder()
    chance = np.random.default_rng(1)
    payloads = []
    for number in range(frames):
        picture = av.VideoFrame.from_ndarray(
            chance.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8), format="rgb24"
        )
        picture.pts, picture.time_base = number * 3000, Fraction(1, 90_000)
        payloads.append(encoder.encode(picture, force_keyframe=not number)[0])
    return payloads


def packets(payloads: list[bytes], timestamp: int, *, marker: bool = True) -> list[RtpPacket]:
    last = len(payloads) - 1
    return [
        RtpPacket(timestamp=timestamp, payload=payload, marker=int(marker and number == last))
        for number, payload in enumerate(payloads)
    ]


def put(assembler: Assembler, given: Sequence[RtpPacket | None]) -> list[Arrived]:
    return [arrived for number, each in enumerate(given) for arrived in assembler.put(each, number)]


@pytest.mark.parametrize("codec", list(Codec))
def test_frames_are_whole_with_their_size(codec: Codec) -> None:
    first, second, third = film(codec)
    assert len(first) > 2
    assembler = Assembler(codec)
    came = put(assembler, [*packets(first, 1), *packets(second, 2), *packets(third, 3)])
    assert [(each.picture.keyframe, each.timestamp) for each in came] == [(True, 1), (False, 2), (False, 3)]
    assert came[0].picture.size == (322, 242)
    assert [each.first_ns for each in came] == [0, len(first), len(first) + len(second)]
    assert not assembler.waits


@pytest.mark.parametrize("codec", list(Codec))
def test_senders_that_never_set_the_marker_are_one_frame_late(codec: Codec) -> None:
    first, second, _ = film(codec)
    assembler = Assembler(codec)
    came = put(assembler, [*packets(first, 1, marker=False), *packets(second, 2, marker=False)])
    assert [each.timestamp for each in came] == [1]


@pytest.mark.parametrize("codec", list(Codec))
def test_after_a_gap_nothing_is_shown_before_a_keyframe(codec: Codec) -> None:
    first, second, third = film(codec)
    assembler = Assembler(codec)
    assert put(assembler, [*packets(second, 0)]) == [], "nor at the beginning"
    assert len(put(assembler, packets(first, 1))) == 1
    cut: list[RtpPacket | None] = [*packets(second, 2)]
    assert put(assembler, [cut[0], None, *cut[2:], *packets(third, 3)]) == []
    assert assembler.waits
    rest: list[RtpPacket | None] = [*packets(first, 4)]
    assert put(assembler, [None, *rest[2:]]) == [], "the rest of a keyframe is none"
    assert [each.timestamp for each in put(assembler, packets(first, 5))] == [5]


@pytest.mark.parametrize("codec", list(Codec))
@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.integers(0, 2))))
def test_garbage_makes_no_noise(codec: Codec, made_up: list[tuple[bytes, bool, int]]) -> None:
    assembler = Assembler(codec)
    given_packets = [RtpPacket(payload=data, marker=int(last), timestamp=at) for data, last, at in made_up]
    for each in put(assembler, list(given_packets)):
        assert each.picture.data


def test_parameter_sets_that_came_once_are_given_to_every_keyframe() -> None:
    first, *_ = film(Codec.H264)
    frame = put(Assembler(Codec.H264), list(packets(first, 1)))[0].picture.data
    units = frame.split(START)[1:]
    sets = b"".join(START + unit for unit in units if unit[0] & 0x1F in (7, 8))
    bare = b"".join(START + unit for unit in units if unit[0] & 0x1F not in (7, 8))
    reader = Reader(Codec.H264)
    with pytest.raises(ValueError, match="without parameter sets"):
        reader.read(bare)
    assert reader.read(sets) is None
    picture = reader.read(bare)
    assert picture
    assert (picture.data, picture.size) == (sets + bare, (322, 242))


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        ("yuv420p", {"profile": "baseline"}),
        ("yuv420p", {"profile": "high", "x264-params": "fake-interlaced=1"}),
        ("yuv422p", {"profile": "high422", "x264-params": "cqm=jvt"}),
        ("yuv444p", {"profile": "high444"}),
    ],
)
def test_sizes_in_parameter_sets_of_all_profiles(pixels: str, options: dict[str, str]) -> None:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 330, 268, pixels
    encoder.time_base, encoder.options = Fraction(1, 30), options
    picture = av.VideoFrame(330, 268, pixels)
    data = b"".join(bytes(each) for each in [*encoder.encode(picture), *encoder.encode(None)])
    sps = next(unit for unit in data.split(START) if unit and unit[0] & 0x1F == 7)
    assert h264_size(sps) == (330, 268)


@given(st.binary(max_size=60))
def test_a_made_up_parameter_set_is_refused_or_has_a_size(sps: bytes) -> None:
    try:
        width, height = h264_size(SPS + sps)
    except ValueError:
        return
    assert min(width, height) > 0


@pytest.mark.parametrize("payload", [b"", b"\x61\x01"])
def test_a_frame_that_never_ends_is_not_kept(payload: bytes) -> None:
    assembler = Assembler(Codec.H264)
    endless = RtpPacket(timestamp=1, payload=payload + b"\x61", marker=0)
    assert put(assembler, [endless] * 20_000) == []
    assert len(assembler._parts) <= 16_384
    (first,) = film(Codec.H264, 1)
    assert put(assembler, [*packets([b"\x61"], 1), *packets(first, 2)])
