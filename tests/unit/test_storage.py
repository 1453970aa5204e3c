from pathlib import Path

import pytest

from appliance.storage import give_to_owner, remembered, write_atomic

pytestmark = pytest.mark.unit


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state"
    write_atomic(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.storage.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_mode_is_private_and_the_first_value_stays(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "id"
    assert remembered(file, "first") == "first"
    assert remembered(file, "second") == "first"
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_remembers_nothing(tmp_path: Path) -> None:
    file = tmp_path / "id"
    file.touch()
    assert remembered(file, "") == ""
    assert remembered(file, "first") == "first"
    assert file.read_text() == "first"


def test_a_link_that_the_owner_put_there_is_given_itself_not_what_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.storage.os.geteuid", lambda: 0)
    link = tmp_path / "ca.pem"
    link.symlink_to(tmp_path / "nowhere")
    give_to_owner(tmp_path, link)
