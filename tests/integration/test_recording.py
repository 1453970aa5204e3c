"""What is to be recorded is, by a whole box, all the time or on demand; and pictures of what is shown."""

import asyncio
import os
import signal
import time
from pathlib import Path

import av
import pytest

from appliance import recordings
from tests.support.box import Box, box, fanlight, settings
from tests.support.recorded import play

pytestmark = pytest.mark.integration

PATTERN = """
[[application]]
name = "pattern"
kind = "test-pattern"
size = "320x240"
fps = 30
autostart = true
record = true
"""
FRAMES = "i['stats'] and i['stats']['frames_encoded'] > 45"
RECORDED = f"any({FRAMES} and i['stats']['recording'] for i in s['instances'])"


async def on_disk(running: Box) -> None:
    """There is a picture in the newest file: a crash costs the last second."""
    async with asyncio.timeout(10):
        while True:
            told = (await running.cli("recordings"))["recordings"]
            newest = told and Path(told[-1]["file"])
            if newest and newest.exists() and recordings.CLUSTER in newest.read_bytes():
                return
            await asyncio.sleep(0.1)


async def test_an_application_is_recorded_while_it_runs_and_what_a_crash_cuts_off_is_kept(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept"
    async with box(tmp_path, settings(recording=f'directory = "{kept}"') + PATTERN) as running:
        stats = (await running.until(RECORDED))["instances"][0]["stats"]
        assert stats["viewers"] == []
        await on_disk(running)
        told = await running.cli("recordings")
        assert told["directory"] == str(kept)
        (one,) = told["recordings"]
        assert (one["name"], one["kind"], one["running"]) == ("pattern", "applications", True)
        assert Path(one["file"]).name == f"{stats['recording']}.part"

        os.kill(stats["pid"], signal.SIGKILL)
        await running.until(f"{RECORDED} and s['instances'][0]['stats']['pid'] != {stats['pid']}")
        soon = time.time() + 10
        (cut,) = recordings.recover(recordings.found(kept), soon)
        assert cut.file.name == stats["recording"]
        assert len(play(cut.file).pictures) > 15

        await running.cli("stop", "pattern")
        async with asyncio.timeout(10):
            while (whole := (await running.cli("recordings"))["recordings"][1])["running"]:
                await asyncio.sleep(0.1)
    recorded = play(Path(whole["file"]))
    assert recorded.keyframes[0] == 0
    assert len(recorded.pictures) > 45


def ladder(codec: str) -> str:
    """Configuration of a pattern that is encoded as `codec`, and not recorded by itself."""
    return settings(video=f'codec = "{codec}"') + PATTERN.replace("record = true\n", "")


async def test_a_running_application_is_recorded_on_demand_and_into_a_file_of_ones_own(
    tmp_path: Path,
) -> None:
    async with box(tmp_path, ladder("h264")) as running:
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        assert await running.cli("record", "start", "pattern") == {"instance": "pattern", "recorded": True}
        code, _, err = await fanlight(tmp_path, "record", "start", "pattern")
        assert (code, err) == (1, "fanlight: pattern is recorded already\n")
        began = (await running.until(RECORDED))["instances"][0]["stats"]["frames_encoded"]

        mp4 = tmp_path / "mine.mp4"
        told = await running.cli("record", "stop", "pattern", str(mp4))
        (kept,) = told["recordings"]
        assert (told["recorded"], told["files"]) == (False, [str(mp4)])
        assert [each["file"] for each in (await running.cli("recordings"))["recordings"]] == [kept]
        source, copy = play(Path(kept)), play(mp4)
        assert (copy.codecs[0], copy.size) == ("h264", (320, 240))
        assert copy.keyframes[0] == 0
        assert [bright for _, bright in copy.pictures] == [bright for _, bright in source.pictures]
        assert began > 45
        assert len(copy.pictures) > 15
        assert copy.pictures[-1][0] == pytest.approx(source.pictures[-1][0], abs=0.01)

        code, _, err = await fanlight(tmp_path, "record", "stop", "pattern", str(mp4))
        assert (code, err) == (1, "fanlight: pattern is not recorded\n")
        for verb in (("record", "start", "x"), ("record", "stop", "x"), ("screenshot", "x", "-")):
            assert (await fanlight(tmp_path, *verb))[0] == 4
        asked = [each["event"] for each in await running.cli("audit")]
        assert [each for each in asked if each.startswith("record.")] == ["record.start", "record.stop"]


async def test_a_recording_survives_a_crash_of_the_streamer(tmp_path: Path) -> None:
    async with box(tmp_path, ladder("h264")) as running:
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        await running.cli("record", "start", "pattern")
        pid = (await running.until(RECORDED))["instances"][0]["stats"]["pid"]
        await on_disk(running)
        os.kill(pid, signal.SIGKILL)
        await running.until(f"{RECORDED} and s['instances'][0]['stats']['pid'] != {pid}")
        mkv = tmp_path / "mine.MKV"
        told = await running.cli("record", "stop", "pattern", str(mkv))
        assert (len(told["recordings"]), told["files"]) == (2, [str(mkv)])
        copy = play(mkv)
        times = [at for at, _ in copy.pictures]
        assert times == sorted(set(times))
        assert len(times) == sum(len(play(Path(each)).pictures) for each in told["recordings"])


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_a_screenshot_shows_what_is_there_with_nobody_watching(tmp_path: Path, codec: str) -> None:
    async with box(tmp_path, ladder(codec)) as running:
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        file = tmp_path / "now.png"
        told = await running.cli("screenshot", "pattern", str(file))
        assert told == {"instance": "pattern", "file": str(file), "width": 320, "height": 240}
        with av.open(file) as image:
            (picture,) = image.decode(video=0)
        assert picture.format.name == "rgb24"
        below = picture.to_ndarray()[-8:].mean(axis=0)
        # The moving square may hide a bar or two of: white, yellow, cyan, green, magenta, red, blue, black.
        bars = [
            (191, 191, 191),
            (191, 191, 0),
            (0, 191, 191),
            (0, 191, 0),
            (191, 0, 191),
            (191, 0, 0),
            (0, 0, 191),
        ]
        near = [abs(below[20 + 40 * at] - bar).max() < 30 for at, bar in enumerate(bars)]
        assert sum(near) >= 5
        await running.until(f"s['instances'][0]['stats']['codec'] == '{codec.upper()}'")
