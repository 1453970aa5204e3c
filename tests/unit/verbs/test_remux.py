"""The files of a recording become one, without encoding anything again."""

from pathlib import Path

import pytest

from appliance.errors import InvalidInputError, UnavailableError
from appliance.streamer.frames import Codec
from appliance.verbs.remux import check, remux
from tests.support.recorded import play, tape

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_what_was_cut_is_put_together_each_part_at_its_time(tmp_path: Path, suffix: str) -> None:
    parts = [tape(tmp_path, 0), tape(tmp_path, 2.5)]
    mine = tmp_path / f"mine.{suffix}"
    assert remux(parts, mine) == [mine]
    joined = play(mine)
    assert joined.codecs == ["h264", "opus"]
    times = [at for at, _ in joined.pictures]
    assert times == pytest.approx([each / 10 for each in (*range(10), *range(25, 35))], abs=0.002)
    whole = [bright for part in parts for _, bright in play(part).pictures]
    assert [bright for _, bright in joined.pictures] == whole
    assert joined.keyframes == pytest.approx([0, 2.5], abs=0.002)
    assert len(joined.sounds) == 2


def test_parts_that_overlap_by_a_clock_that_was_set_stay_in_order(tmp_path: Path) -> None:
    mine = tmp_path / "mine.mkv"
    remux([tape(tmp_path, 0), tape(tmp_path, 0.5)], mine)
    times = [at for at, _ in play(mine).pictures]
    assert len(times) == 20
    assert times == sorted(set(times))


def test_a_picture_of_another_size_goes_to_a_file_of_its_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.mp4"
    written = remux([tape(tmp_path, 0), tape(tmp_path, 2, width=96), tape(tmp_path, 4, width=96)], mine)
    assert written == [mine, tmp_path / "mine-2.mp4"]
    assert [(play(each).size, len(play(each).pictures)) for each in written] == [
        ((64, 48), 10),
        ((96, 48), 20),
    ]


def test_vp8_goes_into_matroska_alone(tmp_path: Path) -> None:
    part = tape(tmp_path, 0, Codec.VP8)
    with pytest.raises(InvalidInputError, match=r"vp8 does not go into mp4: name a \.mkv file; .* is kept"):
        remux([part], tmp_path / "mine.mp4")
    assert not (tmp_path / "mine.mp4").exists()
    (mine,) = remux([part], tmp_path / "mine.mkv")
    assert (play(mine).codecs[0], len(play(mine).pictures)) == ("vp8", 10)


def test_nothing_recorded_is_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="nothing was recorded"):
        remux([], tmp_path / "mine.mkv")


@pytest.mark.parametrize("name", ["mine", "mine.avi", "nowhere/mine.mp4"])
def test_what_is_no_file_for_a_recording_is_told_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError):
        check(tmp_path / name)
    check(tmp_path / "mine.MP4")
