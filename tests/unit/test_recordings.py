"""Names of recordings, files that a crash cut off, and which ones have to go."""

import os
from pathlib import Path

import pytest

from appliance import recordings
from appliance.recordings import CLUSTER, Draft, Recording, Shelf

pytestmark = pytest.mark.unit

NOON = 1_795_262_400.25
HOURS = {Shelf.APPLICATION: 24, Shelf.CHANNEL: 0}


def draft(
    root: Path, name: str = "desktop", shelf: Shelf = Shelf.APPLICATION, data: bytes = CLUSTER
) -> Draft:
    made = Draft(root / shelf, name, NOON)
    made.file.write_bytes(data)
    return made


def recording(
    began: float, *, size: int = 1, shelf: Shelf = Shelf.APPLICATION, running: bool = False
) -> Recording:
    return Recording(Path(f"{began}"), shelf, "desktop", began, began + 600, size, running)


def test_a_file_is_named_after_what_was_recorded_and_when_and_is_for_its_group(tmp_path: Path) -> None:
    root = tmp_path / "kept"
    started = draft(root)
    assert started.file.name == "desktop-20261121T120000.250Z.mkv.part"
    (running,) = recordings.found(root)
    assert (running.name, running.began, running.size, running.running) == ("desktop", NOON, 4, True)
    started.finish()
    (whole,) = recordings.found(root)
    assert (whole.file.name, whole.running) == ("desktop-20261121T120000.250Z.mkv", False)
    modes = [each.stat().st_mode & 0o777 for each in (root, root / Shelf.APPLICATION, whole.file)]
    assert modes == [0o750, 0o750, 0o640]


@pytest.mark.parametrize("name", ["..", ".hidden", "a" * 256, "x-20261121T120000.250Z", "-"])
def test_names_of_channels_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        draft(tmp_path, name, Shelf.CHANNEL).finish()
    found = recordings.found(tmp_path)
    assert [each.file.parent for each in found] == [tmp_path / Shelf.CHANNEL] * 2
    assert {each.name.lstrip("_") for each in found} == {name[:180]}
    assert not any(each.file.name.startswith(".") for each in found)


def test_other_files_are_not_ours(tmp_path: Path) -> None:
    draft(tmp_path).finish()
    for name in ("notes.txt", "desktop.mkv", "desktop-20269999T120000.250Z.mkv"):
        (tmp_path / Shelf.APPLICATION / name).touch()
    assert len(recordings.found(tmp_path)) == 1


def test_what_a_crash_cut_off_is_named_like_others_and_what_has_no_picture_goes(tmp_path: Path) -> None:
    alive, dead = draft(tmp_path), draft(tmp_path, "dead")
    empty, header = draft(tmp_path, "empty", data=b""), draft(tmp_path, "header", data=b"\x1a\x45\xdf\xa3")
    for each in (dead, empty, header):
        os.close(each._descriptor)  # as the kernel does
    now = alive.file.stat().st_mtime
    assert not list(recordings.recover(recordings.found(tmp_path), now))
    (recovered,) = recordings.recover(recordings.found(tmp_path), now + 10)
    assert (recovered.name, recovered.running, recovered.file.read_bytes()) == ("dead", False, CLUSTER)
    assert sorted(each.name for each in recordings.found(tmp_path)) == ["dead", "desktop"]
    alive.finish()


def test_what_is_too_old_for_its_kind_has_to_go() -> None:
    day = 24 * 3600
    old, fresh, channel = recording(0), recording(day), recording(day, shelf=Shelf.CHANNEL)
    still_written = recording(1, running=True)
    kept = [old, fresh, channel, still_written]
    assert recordings.surplus(kept, HOURS, 100, now=day + 601) == [old, channel]


def test_the_oldest_go_until_the_rest_has_room() -> None:
    first, second, third = recording(1, size=50), recording(2, size=50), recording(3, size=50)
    running = recording(0, size=50, running=True)
    assert recordings.surplus([third, first, second, running], HOURS, 120, now=700) == [first, second]
    assert recordings.surplus([third, first, second, running], HOURS, 200, now=700) == []
