"""How long recordings are kept, by the box itself."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from appliance import recordings
from appliance.config import Config
from appliance.recordings import CLUSTER, Draft, Shelf
from appliance.retention import Retention

pytestmark = pytest.mark.unit


def kept(root: Path, name: str, shelf: Shelf, hours_ago: float, size: int = 10) -> None:
    at = time.time() - hours_ago * 3600
    draft = Draft(root / shelf, name, at)
    draft.file.write_bytes(bytes(size))
    os.utime(draft.file, (at, at))
    draft.finish()


def names(root: Path) -> list[str]:
    return [each.name for each in recordings.found(root)]


def retention(tmp_path: Path, **sections: dict[str, object]) -> Retention:
    config = Config.model_validate(sections)
    return Retention(lambda: config, tmp_path)


def test_each_kind_is_kept_for_its_own_time(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    for shelf in Shelf:
        for hours in (30, 5):
            kept(root, f"{shelf}-{hours}", shelf, hours)
    swept = retention(tmp_path, recording={"retention_hours": 24}, kinesis={"retention_hours": 1})
    swept.sweep(time.time())
    assert names(root) == ["applications-5"]


def test_all_together_have_so_much_room(tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    for hours in (3, 2, 1):
        kept(root, f"{hours}", Shelf.APPLICATION, hours, size=1 << 20)
    swept = retention(tmp_path, recording={"directory": str(root), "max_gb": 2.5 / 1024})
    swept.sweep(time.time())
    assert names(root) == ["2", "1"]


def test_a_crash_before_the_first_picture_leaves_nothing_to_play(tmp_path: Path) -> None:
    root = tmp_path / "recordings" / Shelf.APPLICATION
    drafts = [Draft(root, name, time.time()) for name in ("header", "picture", "other")]
    for each, data in zip(drafts, (b"", CLUSTER, CLUSTER), strict=True):
        each.file.write_bytes(b"header" + data)
    playable = asyncio.run(retention(tmp_path).playable([each.name for each in drafts[:2]]))
    assert [each.name for each in playable] == ["picture"]
    for each in drafts:
        each.discard()


async def test_what_cannot_be_looked_after_is_said(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / Shelf.APPLICATION).mkdir()
    (
        tmp_path / "recordings" / Shelf.APPLICATION / "x-20261121T120000.250Z.mkv"
    ).mkdir()  # where a file should be
    swept = retention(tmp_path, recording={"retention_hours": 1})
    os.utime(tmp_path / "recordings" / Shelf.APPLICATION / "x-20261121T120000.250Z.mkv", (0, 0))
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(swept.serve(asyncio.Event()))
        async with asyncio.timeout(5):
            while not swept.problem:
                await asyncio.sleep(0.01)
        serving.cancel()
    assert "x-20261121T120000.250Z.mkv" in swept.problem
