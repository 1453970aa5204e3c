"""The real encoders: one picture in, one access unit out."""

import os

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from av.video.codeccontext import VideoCodecContext

from appliance.streamer.capture.areas import Area
from appliance.streamer.capture.counter import draw_counter, read_counter
from appliance.streamer.capture.encoder import BURST_S, open_encoder
from appliance.streamer.capture.pattern import Pattern
from appliance.streamer.frames import Codec, EncodedFrame

pytestmark = pytest.mark.integration

FPS = 30
DECODERS = {Codec.H264: "h264", Codec.VP8: "vp8"}


class Viewer:
    """Decodes what it is given, one picture out for each frame in."""

    def __init__(self, codec: Codec) -> None:
        context = av.CodecContext.create(DECODERS[codec], "r")
        assert isinstance(context, VideoCodecContext)
        context.thread_count = 1
        self.context = context

    def see(self, frame: EncodedFrame) -> np.ndarray:
        (picture,) = self.context.decode(av.Packet(frame.data))
        return picture.to_ndarray()[: picture.height]


def noisy(seed: int, width: int = 640, height: int = 480) -> av.VideoFrame:
    """Something that costs bits."""
    picture = av.VideoFrame(width, height, "yuv420p")
    random = np.random.default_rng(seed)
    for plane in picture.planes:
        small = random.integers(16, 235, (plane.height // 4 + 1, plane.line_size // 4 + 1), np.uint8)
        large = small.repeat(4, 0).repeat(4, 1)[: plane.buffer_size // plane.line_size, : plane.line_size]
        plane.update(np.ascontiguousarray(large).tobytes())
    return picture


def moving_in_part(seed: int, width: int = 1280, height: int = 720) -> av.VideoFrame:
    """Noise in the middle ninth of a flat picture."""
    random = np.random.default_rng(seed)
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[height // 3 : height // 3 * 2, width // 3 : width // 3 * 2] = random.integers(
        16, 235, (height // 3, width // 3), np.uint8
    )
    return av.VideoFrame.from_ndarray(picture, format="yuv420p")


@pytest.mark.parametrize("codec", Codec)
def test_every_frame_decodes_to_the_counter_that_was_drawn(codec: Codec) -> None:
    encoder, viewer = open_encoder(codec, fps=FPS, kbps=2000), Viewer(codec)
    pattern = Pattern(640, 360)
    stamps = []
    for number in range(40):
        pattern.draw(number)
        frame = encoder.encode(pattern.picture, number * 33_333_333, keyframe=number == 20)
        assert read_counter(viewer.see(frame)) == number
        assert frame.keyframe == (number in (0, 20))
        assert frame.encode_start_ns <= frame.encoded_ns
        stamps.append(frame.timestamp)
    assert stamps == sorted(set(stamps))
    assert stamps[-1] - stamps[0] == pytest.approx(39 / 30 * 90_000, abs=2)


def test_h264_is_constrained_baseline_annex_b_with_its_colours_named() -> None:
    encoder, viewer = open_encoder(Codec.H264, fps=60, kbps=2000), Viewer(Codec.H264)
    frame = encoder.encode(noisy(1, 1280, 720), 0, keyframe=True)
    viewer.see(frame)
    assert frame.data.startswith(b"\0\0\0\1\x67\x42\xc0")
    assert frame.data[7] == 32, "level 3.2 carries 720p60"
    context = viewer.context
    assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (
        1,
        13,
        6,
        1,
    )


@pytest.mark.parametrize("codec", Codec)
def test_a_new_size_opens_anew_with_a_keyframe_and_a_later_timestamp(codec: Codec) -> None:
    encoder = open_encoder(codec, fps=FPS, kbps=2000)
    first = encoder.encode(noisy(1, 640, 480), 5, keyframe=False)
    second = encoder.encode(noisy(1, 320, 240), 6, keyframe=False)
    assert second.keyframe
    assert second.timestamp > first.timestamp
    assert Viewer(codec).see(second).shape == (240, 320)


def rate_kbps(frames: list[EncodedFrame]) -> float:
    return sum(len(frame.data) for frame in frames) * 8 * FPS / len(frames) / 1000


def test_x264_follows_the_bitrate_without_a_keyframe() -> None:
    encoder = open_encoder(Codec.H264, fps=FPS, kbps=4000)
    pictures = [noisy(seed) for seed in range(5)]
    now = 0
    for kbps in (4000, 1000, 6000, 1500):
        encoder.set_bitrate(kbps)
        frames = []
        for number in range(45):
            now += 33_333_333
            frames.append(encoder.encode(pictures[number % 5], now, keyframe=False))
        assert rate_kbps(frames[15:]) == pytest.approx(kbps, rel=0.2)
        assert [frame.keyframe for frame in frames].count(True) == (kbps == 4000)


@pytest.mark.parametrize(("opened", "kbps"), [(1350, 1350), (1350, 7600), (2700, 2700), (10_000, 1350)])
def test_x264_makes_all_of_the_bitrate_where_a_part_of_the_picture_moves(opened: int, kbps: int) -> None:
    encoder = open_encoder(Codec.H264, fps=FPS, kbps=opened)
    pictures = [moving_in_part(seed) for seed in range(5)]
    frames = []
    for number in range(180):
        frame = encoder.encode(pictures[number % 5], number * 33_333_333, keyframe=not number % 90)
        if number >= 60:
            frames.append(frame)
        encoder.set_bitrate(kbps)
    assert rate_kbps(frames) == pytest.approx(kbps, rel=0.05)
    assert max(len(frame.data) for frame in frames) < kbps * 1000 / 8 * BURST_S


def test_vp8_follows_a_large_change_of_the_bitrate_by_a_keyframe() -> None:
    encoder = open_encoder(Codec.VP8, fps=FPS, kbps=4000)
    picture = noisy(1)
    encoder.encode(picture, 1, keyframe=False)
    encoder.set_bitrate(3900)
    assert not encoder.encode(picture, 33_333_333, keyframe=False).keyframe
    encoder.set_bitrate(1000)
    assert encoder.encode(picture, 66_666_666, keyframe=False).keyframe


def test_no_frame_outweighs_the_burst_allowance() -> None:
    encoder = open_encoder(Codec.H264, fps=60, kbps=3000)
    frames = [encoder.encode(noisy(seed), seed * 3_000_000_000, keyframe=False) for seed in range(5)]
    allowance = 3_000_000 / 8 * BURST_S
    assert max(len(frame.data) for frame in frames) < 1.2 * allowance


@pytest.mark.parametrize("codec", Codec)
def test_a_still_picture_sharpens_in_a_few_frames_and_then_costs_nothing(codec: Codec) -> None:
    encoder, viewer = open_encoder(codec, fps=60, kbps=4000), Viewer(codec)
    picture = noisy(7, 1280, 720)
    draw_counter(
        np.frombuffer(memoryview(picture.planes[0]), np.uint8).reshape(-1, picture.planes[0].line_size), 1
    )
    truth = picture.to_ndarray()[:720].astype(float)
    now, quality = 0, []
    for gap_ms in (0, 100, 200, 300, 400):
        now += gap_ms * 1_000_000
        seen = viewer.see(encoder.encode(picture, now, keyframe=False))
        quality.append(10 * np.log10(255**2 / ((seen - truth) ** 2).mean()))
    assert quality == sorted(quality)
    assert quality[-1] > quality[0] + 6
    for _ in range(20):
        now += 2_000_000_000
        last = encoder.encode(picture, now, keyframe=False)
    assert len(last.data) * 8 / 2 < 20_000, "bits a second at a heartbeat every 2 s"


def page(width: int = 1280, height: int = 3600) -> np.ndarray:
    """Luma of a text: letters are 6 x 3 fat dots, and every line is another, of words, more or less long."""
    random = np.random.default_rng(7)
    rows, columns = height // 16, width // 8
    letters = np.zeros((rows, 16, columns, 8), bool)
    letters[:, 2:14, :, 1:7] = random.integers(0, 2, (rows, 6, columns, 3)).repeat(2, 1).repeat(2, 3)
    letters &= random.random((rows, 1, columns, 1)) < 0.83
    letters &= np.arange(columns).reshape(1, 1, -1, 1) < random.random((rows, 1, 1, 1)) * columns * 0.6
    return np.where(letters.reshape(-1, width), 220, 40).astype(np.uint8)


@pytest.mark.parametrize(("pixels", "least"), [(48, 40), (80, 30)])
def test_text_that_scrolls_stays_readable(pixels: int, least: float) -> None:
    encoder, viewer = open_encoder(Codec.H264, fps=FPS, kbps=4000), Viewer(Codec.H264)
    text, seen = page(), []
    for number in range(80):
        top = max(0, number - 50) * pixels
        shown = np.full((1080, 1280), 128, np.uint8)
        shown[:720] = text[top : top + 720]
        picture = av.VideoFrame.from_ndarray(shown, format="yuv420p")
        frame = encoder.encode(picture, number * 33_333_333, keyframe=False)
        seen.append(_sharpness(viewer.see(frame), shown))
    assert min(seen[65:]) > least, "half a second into scrolling by three lines or five, 30 times a second"


def test_a_large_picture_is_encoded_by_more_than_one_thread() -> None:
    small, large = (open_encoder(Codec.H264, fps=FPS, kbps=4000) for _ in range(2))
    frames = [
        encoder.encode(av.VideoFrame(width, height, "yuv420p"), number * 33_333_333, keyframe=False).data
        for encoder, width, height in ((small, 1280, 720), (large, 1920, 1080))
        for number in range(2)
    ]
    assert [frame.count(b"\0\0\1\x41") for frame in frames[1::2]] == [1, min(2, len(os.sched_getaffinity(0)))]


def patched(picture: np.ndarray, seed: int, area: Area) -> av.VideoFrame:
    """The same with noise in an area of its luma."""
    random, drawn = np.random.default_rng(seed), picture.copy()
    drawn[area.top : area.bottom, area.left : area.right] = random.integers(
        16, 235, (area.bottom - area.top, area.right - area.left), np.uint8
    )
    return av.VideoFrame.from_ndarray(drawn, format="yuv420p")


def test_h264_with_the_changed_parts_told_shows_the_same_and_costs_the_same() -> None:
    plain, told = (open_encoder(Codec.H264, fps=FPS, kbps=8000) for _ in range(2))
    near, far = Viewer(Codec.H264), Viewer(Codec.H264)
    picture = noisy(3).to_ndarray()
    weights = [0, 0]
    for number in range(40):
        area = Area(number * 8, number * 6, number * 8 + 50, number * 6 + 70)
        shown = patched(picture, number, area)
        changed = [area] if number % 4 else []
        if not number % 4:
            shown = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        picture, at = shown.to_ndarray(), number * 33_333_333
        one = plain.encode(shown, at, keyframe=number == 20)
        other = told.encode(shown, at, keyframe=number == 20, changed=changed)
        weights = [weights[0] + len(one.data), weights[1] + len(other.data)]
        sharp, hinted = _sharpness(near.see(one), picture), _sharpness(far.see(other), picture)
        assert hinted > sharp - 1
    assert weights[1] == pytest.approx(weights[0], rel=0.05)


def test_a_scaled_picture_is_not_told_what_changed_in_the_large_one() -> None:
    large, small = (open_encoder(Codec.H264, fps=FPS, kbps=2000) for _ in range(2))
    picture = noisy(5, 1280, 720)
    large.encode(picture, 0, keyframe=False, changed=[Area(0, 0, 1280, 720)])
    inherits, scaled = (picture.reformat(640, 360, "yuv420p") for _ in range(2))
    assert inherits.side_data.get(Type.VIDEO_HINT) is not None
    small.encode(scaled, 0, keyframe=False)
    assert scaled.side_data.get(Type.VIDEO_HINT) is None


def test_x264_believes_what_it_is_told_did_not_change() -> None:
    encoder, viewer = open_encoder(Codec.H264, fps=FPS, kbps=8000), Viewer(Codec.H264)
    picture = noisy(3).to_ndarray()
    for number in range(20):
        before = viewer.see(
            encoder.encode(
                av.VideoFrame.from_ndarray(picture, format="yuv420p"), number * 33_333_333, keyframe=False
            )
        )
    lied = patched(picture, 1, Area(100, 100, 300, 300))
    after = viewer.see(encoder.encode(lied, 20 * 33_333_333, keyframe=False, changed=[]))
    assert np.array_equal(before, after)


def _sharpness(seen: np.ndarray, drawn: np.ndarray) -> float:
    """PSNR of luma, dB."""
    height = drawn.shape[0] * 2 // 3
    error = seen[:height].astype(float) - drawn[:height]
    return float(10 * np.log10(255**2 / max(1e-9, (error**2).mean())))
