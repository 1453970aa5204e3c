"""The picture goes on where its sequence numbers begin anew, and what was lost there comes again."""

import asyncio
import functools
import secrets
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.bus.connection import BusAddress
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.select import open_source
from appliance.streamer.frames import Codec
from appliance.streamer.rtp import sender
from tests.support.clips import noise
from tests.support.loopback import Loopback
from tests.support.room import specification

pytestmark = pytest.mark.integration

FIRST = 65_500


async def test_the_picture_goes_on_across_the_wrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    late = SimpleNamespace(randbelow=lambda _: FIRST, randbits=secrets.randbits)
    monkeypatch.setattr(sender, "secrets", late)
    spec = specification(BusAddress(""), kind="file", file=str(noise(tmp_path / "film.mkv", 320, 240)))
    picture = Broadcast(functools.partial(open_source, spec, Codec.H264))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(picture.run())
        async with Loopback(picture) as loopback:
            first = await loopback.packets.get()
            packets = [first]
            while len(packets) < 100:
                packet = await loopback.packets.get()
                if packet.ssrc == first.ssrc:  # the other stream may probe the way
                    packets.append(packet)
            assert [each.sequence_number for each in packets] == [
                (FIRST + number) & 0xFFFF for number in range(100)
            ]
            before, after = [FIRST + 30, 65_535], [0, 1]
            for lost in (before, after):
                await loopback.theirs.getReceivers()[0]._send_rtcp_nack(first.ssrc, lost)
            again: list[int] = []
            while len(again) < 4:
                packet = await loopback.packets.get()
                if packet.ssrc != first.ssrc and packet.payload:
                    number = int.from_bytes(packet.payload[:2])
                    if number in before + after:  # the last of a frame may come again by itself
                        again.append(number)
            assert again == before + after
        running.cancel()
