"""Names and values that fit into DNS."""

import asyncio
from typing import Any

import pytest

from appliance.discovery import advertise
from appliance.discovery.advertise import Advertiser

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("desk", "desk"),
        ("Küche", "Küche"),
        ("a.b", "a.b"),
        ("  ", "fanlight"),
        ("x" * 80, "x" * 59),
        ("ü" * 40, "ü" * 29),
    ],
)
def test_a_name_becomes_one_label_with_room_for_a_number(name: str, label: str) -> None:
    assert advertise._label(name) == label
    assert len(label.encode()) <= 59


def test_values_are_cut_between_characters() -> None:
    assert advertise._cut("a" * 300, 230) == "a" * 230
    assert advertise._cut("a" + "€" * 100, 230) == "a" + "€" * 76


async def test_values_of_the_record_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advertise.addresses, "reachable_addresses", lambda: ("10.0.0.7",))
    info = await Advertiser(8443, lambda: {"gpu": "G" * 300, "enc": "x264"})._info(
        "desk._fanlight._tcp.local."
    )
    assert info.decoded_properties == {"gpu": "G" * 230, "enc": "x264"}
    assert info.port == 8443


async def test_without_multicast_it_serves_on_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: Any) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(advertise, "AsyncZeroconf", refuse)
    advertiser, started = Advertiser(8443, lambda: {"name": "desk"}), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(advertiser.serve(started))
        await asyncio.wait_for(started.wait(), 5)
        serving.cancel()
    assert advertiser.problem == "no multicast DNS: no such device"
    assert "reached by its address only" in caplog.text
