"""Lines for the journal, and the last of them in memory."""

import asyncio
import io
import json
import logging
import os
import sys
from pathlib import Path

import pytest

from appliance.about import about
from appliance.logs import JournalFormatter, JsonFormatter, RingBuffer, to_journal

pytestmark = pytest.mark.unit


def _record(level: int, text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("appliance.x", level, __file__, 1, text, args, None)


def test_every_line_of_a_traceback_has_its_level() -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        record = logging.LogRecord("appliance.x", logging.ERROR, __file__, 1, "it broke", (), sys.exc_info())
    lines = JournalFormatter().format(record).splitlines()
    assert lines[0] == "<3>appliance.x: it broke"
    assert len(lines) > 2
    assert all(line.startswith("<3>") for line in lines)


def test_the_buffer_keeps_the_newest_and_numbers_them() -> None:
    ring = RingBuffer(kept=2)
    for number in range(3):
        ring.handle(_record(logging.INFO, "line %s", number))
    assert [(each.seq, each.text) for each in ring.after(0).records] == [(2, "line 1"), (3, "line 2")]
    assert [each.seq for each in ring.after(2).records] == [3]


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert to_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not to_journal(stream, {"JOURNAL_STREAM": "1:2"})
        assert not to_journal(stream, {})
    assert not to_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})


async def test_json_lines_say_which_session_they_are_about_in_tasks_too() -> None:
    lines: list[dict[str, str]] = []

    async def work() -> None:
        lines.append(json.loads(JsonFormatter(journal=False).format(_record(logging.INFO, "it %s", "runs"))))

    async with asyncio.TaskGroup() as group:
        with about(session="s1", instance=None):
            group.create_task(work())
        group.create_task(work())
    expected = {"level": "INFO", "logger": "appliance.x", "text": "it runs", "session": "s1"}
    assert expected.items() <= lines[0].items()
    assert "session" not in lines[1]
    assert "instance" not in lines[0]


def test_a_json_line_is_one_line_whatever_is_in_it() -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "two\nlines", (), sys.exc_info())
    line = JsonFormatter(journal=True).format(record)
    assert line.startswith("<3>{")
    assert "\n" not in line
    found = json.loads(line[3:])
    assert found["text"] == "two\nlines"
    assert "ZeroDivisionError" in found["traceback"]
