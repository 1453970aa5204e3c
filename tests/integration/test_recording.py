"""An application that is to be recorded is, by a whole box, and `fanlight recordings` tells."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from appliance import recordings
from tests.support.box import box, settings
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


async def test_an_application_is_recorded_while_it_runs_and_what_a_crash_cuts_off_is_kept(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept"
    async with box(tmp_path, settings(recording=f'directory = "{kept}"') + PATTERN) as running:
        stats = (await running.until(RECORDED))["instances"][0]["stats"]
        assert stats["viewers"] == []
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
