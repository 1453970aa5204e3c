import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from appliance.errors import UnavailableError
from appliance.streamer.rtp.extensions import Extensions
from appliance.streamer.rtp.layout import Shape
from appliance.streamer.rtp.runs import Run
from appliance.streamer.rtp.sound import SoundFanOut

pytestmark = pytest.mark.unit

EXTENSIONS = Extensions(b"\xbe\xde\0\1\x10\x31\0\0")
SHAPE = Shape(payload_type=96, extension_bytes=8, tag_bytes=4)


@dataclass(frozen=True)
class Packet:
    data: bytes
    timestamp: int


@dataclass
class Wire:
    """A link without keys, and the path behind it: what is sent is kept in clear."""

    ssrc: int = 7
    rtx_ssrc: int = 8
    rtx_payload_type: int | None = None
    red_payload_type: int | None = None
    shape: Shape = SHAPE
    extensions: Extensions = EXTENSIONS
    told: Extensions = EXTENSIONS
    rtt: float = 0
    loss: float = 0
    gone: bool = False
    closed: bool = False
    packets: list[bytes] = field(default_factory=list)
    octets: list[int] = field(default_factory=list)
    protected: list[tuple[int, int]] = field(default_factory=list)

    def path(self) -> "Wire":
        if self.gone:
            raise UnavailableError("ice: gone")
        return self

    def protect(self, data: bytes | bytearray, packets: Sequence[tuple[int, int]]) -> memoryview:
        self.protected += packets
        return memoryview(bytearray(data))

    def sent(self, packets: int, octets: int, ntp: int, timestamp: int) -> None:
        self.octets.append(octets)

    def send(self, data: memoryview, runs: Sequence[Run]) -> bool:
        raise NotImplementedError

    def send_one(self, view: memoryview) -> bool:
        self.packets.append(bytes(view))
        return True

    def close(self) -> None:
        self.closed = True


def play(fan_out: SoundFanOut, packets: int, first: int = 0) -> None:
    for number in range(first, first + packets):
        fan_out.deliver(Packet(b"sound%d" % number, number * 480))


def payload(packet: bytes) -> bytes:
    return packet[12 + 8 : -4]


def test_everybody_gets_every_packet_at_once_under_numbers_of_their_own() -> None:
    fan_out, wires = SoundFanOut(), [Wire(ssrc=1), Wire(ssrc=2)]
    with fan_out.attach(wires[0]), fan_out.attach(wires[1]):
        play(fan_out, 2)
    for wire in wires:
        first, second = wire.packets
        assert [payload(each) for each in wire.packets] == [b"sound0", b"sound1"]
        assert first[:2] == b"\x90\x60"
        assert first[12:20] == wire.extensions.block
        assert int.from_bytes(first[8:12]) == wire.ssrc
        assert int.from_bytes(second[2:4]) - int.from_bytes(first[2:4]) == 1
        assert (int.from_bytes(second[4:8]) - int.from_bytes(first[4:8])) % (1 << 32) == 480
        assert wire.protected == [(0, 26)] * 2
        assert wire.octets == [6, 6]
        assert wire.closed
    assert wires[0].packets[0][2:8] != wires[1].packets[0][2:8]


async def test_who_knows_redundancy_gets_the_packet_again_a_little_later() -> None:
    fan_out, plain, red = SoundFanOut(), Wire(), Wire(red_payload_type=63)
    with fan_out.attach(plain), fan_out.attach(red):
        play(fan_out, 2)
        assert len(red.packets) == 2
        async with asyncio.timeout(1):
            while len(red.packets) < 4:
                await asyncio.sleep(0)
    assert red.packets[:2] == red.packets[2:]
    assert [payload(each) for each in red.packets[:2]] == [b"sound0", b"sound1"]
    assert red.octets == [6, 6]
    assert len(plain.packets) == 2


async def test_who_loses_much_gets_two_packets_before_as_long_as_that_lasts() -> None:
    fan_out, wire = SoundFanOut(), Wire(red_payload_type=63)

    def repeated() -> int:
        return wire.packets[-1].count(b"sound") - 1

    with fan_out.attach(wire):
        play(fan_out, 102)
        assert repeated() == 0
        wire.loss = 0.05
        play(fan_out, 101, first=102)
        assert wire.packets[-1][1] == 63
        assert payload(wire.packets[-1]) == (
            b"\xe0\x0f\0\x08\xe0\x07\x80\x08\x60" + b"sound200sound201sound202"
        )
        wire.loss = 0
        play(fan_out, 101, first=203)
        assert repeated() == 0


@pytest.mark.parametrize("how", ["left", "gone", "broken"])
async def test_nothing_goes_again_to_who_is_not_there_any_more(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fan_out, here, other = SoundFanOut(), Wire(red_payload_type=63), Wire(red_payload_type=63)
    with fan_out.attach(here), contextlib.ExitStack() as attached:
        stream = attached.enter_context(fan_out.attach(other))
        play(fan_out, 1)
        if how == "left":
            attached.close()
        elif how == "gone":
            other.gone = True
        else:
            monkeypatch.setattr(other, "send_one", None)
        async with asyncio.timeout(1):
            while len(here.packets) < 2:
                await asyncio.sleep(0)
        assert stream.lost == (how != "left")
    assert len(other.packets) == 1


def test_a_viewer_that_is_gone_takes_nothing_from_the_others() -> None:
    fan_out, here, gone = SoundFanOut(), Wire(), Wire(gone=True)
    with fan_out.attach(gone) as stream, fan_out.attach(here):
        play(fan_out, 1)
        assert stream.lost
        gone.gone = False
        play(fan_out, 1, first=1)
    assert len(here.packets) == 2
    assert not gone.packets


def test_sequence_numbers_and_timestamps_wrap() -> None:
    fan_out, wire = SoundFanOut(), Wire()
    with fan_out.attach(wire) as stream:
        stream._sequence, stream._origin = 0xFFFF, 0xFFFFFFFF
        play(fan_out, 2)
    assert [packet[2:8].hex() for packet in wire.packets] == ["ffffffffffff", "0000000001df"]


def test_who_left_gets_no_more() -> None:
    fan_out, wire = SoundFanOut(), Wire()
    with fan_out.attach(wire):
        play(fan_out, 1)
    play(fan_out, 1, first=1)
    assert len(wire.packets) == 1
