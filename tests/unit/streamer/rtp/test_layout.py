import pytest

from appliance.streamer.rtp.layout import PackedFrame, Shape, side_by_side
from appliance.streamer.rtp.runs import Run

pytestmark = pytest.mark.unit

SHAPE = Shape(payload_type=97, extension_bytes=16, tag_bytes=16)


def packed(*sizes: int) -> PackedFrame:
    return PackedFrame([bytes([0xAB]) * size for size in sizes], 900)


def test_packets_lie_so_that_protected_ones_touch() -> None:
    layout = packed(100, 100, 40).layout(SHAPE)
    assert layout.packets == [(0, 128), (144, 128), (288, 68)]
    assert layout.runs == [Run(0, 372, 144, 3)]
    assert len(layout.template) == 372
    assert layout.template[144 + 28 : 144 + 128] == b"\xab" * 100


def test_only_the_last_packet_of_a_frame_has_the_marker() -> None:
    layout = packed(10, 10).layout(SHAPE)
    assert [layout.template[offset : offset + 2] for offset, _ in layout.packets] == [
        b"\x90\x61",
        b"\x90\xe1",
    ]
    assert packed(10).layout(Shape(97, 0, 10)).template[:2] == b"\x80\xe1"


def test_a_run_ends_with_the_first_smaller_packet() -> None:
    runs = packed(100, 60, 60, 200).layout(SHAPE).runs
    assert [(run.size, run.packets) for run in runs] == [(144, 2), (104, 1), (244, 1)]
    assert [run.start for run in runs[1:]] == [run.end for run in runs[:-1]]


@pytest.mark.parametrize(("count", "size", "most"), [(200, 20, 64), (120, 1180, 53)])
def test_a_run_is_no_longer_than_the_kernel_takes(count: int, size: int, most: int) -> None:
    runs = packed(*[size] * count).layout(SHAPE).runs
    assert max(run.packets for run in runs) == most
    assert sum(run.packets for run in runs) == count
    assert all(run.end - run.start <= 65_000 for run in runs)


def test_a_layout_is_made_once_for_all_viewers_of_a_shape() -> None:
    frame = packed(10)
    assert frame.layout(SHAPE) is frame.layout(Shape(97, 16, 16))
    assert frame.layout(SHAPE) is not frame.layout(Shape(98, 16, 16))
    frame.forget_layouts()
    assert frame.payloads


def test_packets_that_are_complete_lie_side_by_side() -> None:
    layout = side_by_side([b"aaaa", b"bbbb", b"cc", b"dd"], 2)
    assert layout.template == b"aaaa\0\0bbbb\0\0cc\0\0dd\0\0"
    assert layout.packets == [(0, 4), (6, 4), (12, 2), (16, 2)]
    assert [(run.start, run.end, run.size) for run in layout.runs] == [(0, 16, 6), (16, 20, 4)]
