"""The audit trail: lines that survive, in files that do not grow for ever."""

from pathlib import Path

import pytest

from appliance import audit

pytestmark = pytest.mark.unit


def test_what_was_recorded_is_read_again_the_newest_last(tmp_path: Path) -> None:
    with audit.kept(tmp_path):
        audit.record("pair", by="device Pixel\nphone", role="control", address="192.0.2.7", session=None)
        audit.record("leave", viewer="v1")
    audit.record("join", viewer="nobody listens any more")
    first, second = audit.read(tmp_path, last=10)
    assert (first.event, first.by, first.session) == ("pair", "device Pixel\nphone", "")
    assert first.time.endswith("+00:00")
    assert audit.read(tmp_path, last=1) == [second]


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").write_text('{"time": "t", "event": "join"}\n{"time": "t", "ev')
    assert [each.event for each in audit.read(tmp_path, last=10)] == ["join"]


def test_old_files_go_and_the_order_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_FILE_BYTES", 200)
    with audit.kept(tmp_path):
        for number in range(100):
            audit.record("join", viewer=f"v{number}")
    assert len(list(tmp_path.iterdir())) == 10
    numbers = [int(each.viewer[1:]) for each in audit.read(tmp_path, last=100)]
    assert numbers == list(range(numbers[0], 100))
    assert len(numbers) < 100


def test_no_trail_is_no_fault(tmp_path: Path) -> None:
    assert audit.read(tmp_path, last=5) == []
