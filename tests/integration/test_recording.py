"""An application that is to be recorded is, by a whole box, and `fanlight recordings` tells."""

import asyncio
from pathlib import Path

import pytest

from tests.support.box import box, settings
from tests.support.recorded import play

pytestmark = pytest.mark.integration

PATTERN = """
[[application]]
name = "pattern"
kind = "test-pattern"
size = "320x240"
fps = 15
autostart = true
record = true
"""


async def test_an_application_is_recorded_while_it_runs(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    async with box(tmp_path, settings(recording=f'directory = "{kept}"') + PATTERN) as running:
        snapshot = await running.until(
            "any(i['stats'] and i['stats']['frames_encoded'] > 45 for i in s['instances'])"
        )
        stats = snapshot["instances"][0]["stats"]
        assert stats["viewers"] == []
        told = await running.cli("recordings")
        assert told["directory"] == str(kept)
        (one,) = told["recordings"]
        assert (one["name"], one["kind"], one["running"]) == ("pattern", "applications", True)
        assert Path(one["file"]).name == f"{stats['recording']}.part"
        await running.cli("stop", "pattern")
        async with asyncio.timeout(10):
            while (await running.cli("recordings"))["recordings"][0]["running"]:
                await asyncio.sleep(0.1)
    recorded = play(Path(one["file"]).with_suffix(""))
    assert recorded.keyframes[0] == 0
    assert len(recorded.pictures) > 45
