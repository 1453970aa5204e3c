"""What is published, recorded and pictured from the command line."""

import base64
import json
from pathlib import Path

import pytest

from appliance.control.schema import Picture, PublishParams
from appliance.streamer.frames import Codec
from tests.support.house import Fanlight, House
from tests.support.recorded import encoded, play, tape

pytestmark = pytest.mark.unit


def test_publish_begins_and_ends_what_is_named(fanlight: Fanlight, house: House, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("let-me-in\n")
    url = "https://sfu.example/whip"
    assert fanlight("publish", "desktop", "--whip", url, "--token-file", str(secret)) == (
        0,
        "desktop is published\n",
        "",
    )
    assert fanlight("publish", "desktop", "--stop") == (0, "desktop is published no more\n", "")
    assert house.asked == [
        PublishParams(instance="desktop", url=url, token="let-me-in"),
        PublishParams(instance="desktop"),
    ]


@pytest.mark.parametrize(
    "args",
    [
        ("desktop",),
        ("desktop", "--whip", "ftp://sfu.example"),
        ("desktop", "--whip", "https://sfu.example", "--stop"),
        ("desktop", "--whip", "https://sfu.example", "--token-file", "/nowhere"),
        ("--stop",),
    ],
)
def test_publish_says_what_it_needs(fanlight: Fanlight, house: House, args: tuple[str, ...]) -> None:
    code, out, err = fanlight("publish", *args)
    assert (code, out, house.asked) == (2, "", [])
    assert err.startswith("fanlight: ")


def test_publish_alone_lists_what_is_published(fanlight: Fanlight, house: House) -> None:
    assert fanlight("publish")[:2] == (0, "nothing is published\n")
    house.published = "sfu.example: connected"
    assert "desktop" in fanlight("publish")[1]
    assert json.loads(fanlight("publish", "--json")[1]) == [
        {"instance": "i1", "application": "desktop", "published": "sfu.example: connected"}
    ]


def test_recordings_are_listed_with_their_length_and_size(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("recordings")
    assert code == 0
    assert out.splitlines()[1].endswith("1 min 30 s  1.5 MB  /kept/a.mkv")
    assert json.loads(fanlight("recordings", "--json")[1])["recordings"][0]["size"] == 1_500_000


def test_record_begins_and_ends_and_names_the_files(fanlight: Fanlight, house: House) -> None:
    assert fanlight("record", "stop", "desktop") == (1, "", "fanlight: desktop is not recorded\n")
    assert fanlight("record", "start", "desktop") == (0, "desktop is recorded\n", "")
    assert fanlight("record", "stop", "desktop") == (0, "/kept/a.mkv\n", "")
    assert json.loads(fanlight("record", "stop", "desktop", "--json")[1]) == {
        "instance": "desktop", "recorded": False, "recordings": ["/kept/a.mkv"], "files": [],
    }  # fmt: skip


def test_record_stop_puts_what_was_recorded_into_a_file(
    fanlight: Fanlight, house: House, tmp_path: Path
) -> None:
    house.kept = tape(tmp_path, at_s=0)
    fanlight("record", "start", "desktop")
    mine = tmp_path / "mine.mp4"
    assert fanlight("record", "stop", "desktop", str(mine)) == (0, f"{mine}\n", "")
    assert len(play(mine).pictures) == 10


def test_record_start_with_a_file_goes_on_until_ctrl_c(
    fanlight: Fanlight, house: House, tmp_path: Path
) -> None:
    house.kept = tape(tmp_path, at_s=0)
    house.interrupts = True
    mine = tmp_path / "mine.mkv"
    code, out, err = fanlight("record", "start", "desktop", str(mine))
    assert (code, out, err) == (0, f"{mine}\n", "desktop is recorded, until Ctrl-C\n")
    assert house.asked == [("start", "desktop"), ("stop", "desktop")]
    assert len(play(mine).pictures) == 10


def test_record_start_with_a_file_ends_with_the_instance(
    fanlight: Fanlight, house: House, tmp_path: Path
) -> None:
    code, out, err = fanlight("record", "start", "gone", str(tmp_path / "mine.mkv"))
    assert (code, out) == (4, "")
    assert "gone has ended" in err


def test_what_cannot_be_read_is_refused_and_says_where_it_is(
    fanlight: Fanlight, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    fanlight("record", "start", "desktop")
    monkeypatch.setattr("av.open", refuse)
    code, out, err = fanlight("record", "stop", "desktop", str(tmp_path / "mine.mp4"))
    assert (code, out) == (5, "")
    assert "/kept/a.mkv: you may not; the recording is kept in /kept" in err


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_screenshot_is_a_png(fanlight: Fanlight, house: House, tmp_path: Path, codec: str) -> None:
    first = encoded(Codec(codec))[0].data
    house.picture = Picture(codec=codec, data=base64.b64encode(first).decode())
    file = tmp_path / "now.png"
    assert fanlight("screenshot", "i1", str(file)) == (0, f"{file}\n", "")
    assert play(file).size == (64, 48)
    assert json.loads(fanlight("screenshot", "i1", str(file), "--json")[1]) == {
        "instance": "i1", "file": str(file), "width": 64, "height": 48,
    }  # fmt: skip
    assert fanlight("screenshot", "i9", str(file))[0] == 4
    assert fanlight("screenshot", "i1", "-", "--json")[0] == 2
    assert fanlight("screenshot", "i1", "/nowhere/a.png")[0] == 1
    house.picture = Picture(codec=codec, data="")
    assert fanlight("screenshot", "i1", str(file))[0] == 1
