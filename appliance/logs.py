"""Logging: lines fit for the journal, and the last of them in memory for `logs` of the control API."""

import collections
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from appliance.about import subject
from appliance.control.schema import LogRecord, Logs

_KEPT = 2000
# zeroconf warns, with a traceback, of every interface without multicast: a loopback, a bridge, a tunnel.
_CHATTY = {
    **dict.fromkeys(("aioice", "aiortc", "aiohttp.access", "asyncio", "nats"), logging.WARNING),
    "zeroconf": logging.ERROR,
}
# sd-daemon(3): a line that begins with <N> is filed by the journal under that syslog level.
_SYSLOG = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class JournalFormatter(logging.Formatter):
    """`<6>name: text`, every line of a traceback included; the journal adds time and unit."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One prefix a line, as the journal takes each line for a record of its own."""
        prefix = f"<{_SYSLOG.get(record.levelno, 6)}>"
        return "\n".join(f"{prefix}{line}" for line in super().format(record).splitlines() or [""])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, text, and the session and instance that it is about."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """The journal takes the level from a prefix and leaves that out."""
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "text": record.getMessage(),
            **subject(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        prefix = f"<{_SYSLOG.get(record.levelno, 6)}>" if self._journal else ""
        return prefix + json.dumps(line, ensure_ascii=False)


class RingBuffer(logging.Handler):
    """The newest `kept` records, numbered. Safe to use from any thread."""

    def __init__(self, kept: int = _KEPT) -> None:
        super().__init__()
        self._records: collections.deque[LogRecord] = collections.deque(maxlen=kept)
        self._numbers = itertools.count(1)
        self._began = time.time()
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep `record`; logging holds this handler's lock."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001  a log call with wrong arguments must not end its caller
            self.handleError(record)
            return
        self._records.append(
            LogRecord(
                seq=next(self._numbers),
                time=record.created,
                level=record.levelname,
                name=record.name,
                text=text,
            )
        )

    def after(self, seq: int) -> Logs:
        """The records numbered above `seq`, oldest first."""
        self.acquire()
        try:
            return Logs(records=[each for each in self._records if each.seq > seq], began=self._began)
        finally:
            self.release()


def setup(level: int = logging.INFO, stream: TextIO = sys.stderr) -> RingBuffer:
    """Send all logging of this process to `stream` and to the buffer that is returned."""
    shown = logging.StreamHandler(stream)
    shown.setFormatter(
        JournalFormatter()
        if to_journal(stream)
        else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    kept = RingBuffer()
    logging.basicConfig(level=level, handlers=[shown, kept], force=True)
    logging.captureWarnings(True)
    for name, quiet in _CHATTY.items():
        logging.getLogger(name).setLevel(max(level, quiet))
    return kept


def write_json() -> None:
    """From now on, lines are JSON."""
    for each in logging.getLogger().handlers:
        if isinstance(each, logging.StreamHandler):
            each.setFormatter(JsonFormatter(journal=to_journal(each.stream)))


def to_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` is the journal: systemd.exec(5), $JOURNAL_STREAM is its device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
