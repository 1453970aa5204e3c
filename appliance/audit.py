"""The audit trail: who came and went, launched, stopped, kicked, paired, shared. No content, no secrets.

It is a log of its own: `record` anywhere, `kept` where the process begins. STATE/audit.jsonl has one JSON
object a line; ten files of a MiB are kept, which is some fifty thousand of them.
"""

import contextlib
import logging
import logging.handlers
import queue
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_FILE, _FILE_BYTES, _OLD_FILES = "audit.jsonl", 1 << 20, 9
_trail = logging.getLogger("fanlight.audit")
_trail.propagate = False
_trail.setLevel(logging.INFO)


class AuditRecord(BaseModel):
    """Something that happened; what is not known or does not apply is empty."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: str
    """RFC 3339, in UTC."""
    event: str
    """`start`, `end`: of an instance. `join`, `leave`: of a viewer. All others: what somebody asked for."""
    by: str = ""
    """Who: `device Pixel phone`, `account tool`, `uid 1000`..."""
    session: str = ""
    instance: str = ""
    application: str = ""
    viewer: str = ""
    role: str = ""
    address: str = ""
    detail: str = ""


def record(event: str, **fields: str | None) -> None:
    """Note `event` with fields of AuditRecord; never waits."""
    known: dict[str, Any] = {key: value for key, value in fields.items() if value}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    _trail.info("%s", AuditRecord(time=now, event=event, **known).model_dump_json(exclude_defaults=True))


@contextlib.contextmanager
def kept(state_dir: Path) -> Iterator[None]:
    """Write what is recorded to the trail in `state_dir`, in a thread: disks are slow."""
    file = logging.handlers.RotatingFileHandler(
        state_dir / _FILE, maxBytes=_FILE_BYTES, backupCount=_OLD_FILES, encoding="utf-8", delay=True
    )
    passed: queue.SimpleQueue[Any] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(passed)
    writer = logging.handlers.QueueListener(passed, file)
    writer.start()
    _trail.addHandler(handler)
    try:
        yield
    finally:
        _trail.removeHandler(handler)
        writer.stop()
        file.close()


def read(state_dir: Path, last: int) -> list[AuditRecord]:
    """The `last` records, the oldest first. Blocks."""
    found: deque[AuditRecord] = deque(maxlen=last)
    for number in range(_OLD_FILES, -1, -1):
        file = state_dir / (f"{_FILE}.{number}" if number else _FILE)
        with contextlib.suppress(FileNotFoundError), file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with contextlib.suppress(ValidationError):  # a line that a power cut tore
                    found.append(AuditRecord.model_validate_json(line))
    return list(found)
