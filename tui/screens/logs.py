"""The daemon's log: follow, filter, search."""

from collections import deque
from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widgets import Input, RichLog, Static

from appliance.control import words
from appliance.control.schema import LogRecord, LogsParams
from appliance.control.schema import Logs as LogPage
from appliance.control.snapshot import Snapshot
from appliance.errors import FanlightError
from tui.screens.area import Area
from tui.widgets.text import DIM, LIGHT, row

_KEPT = 2000
_PERIOD_SECONDS = 1.0
_ORDER = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_FILTERS = (("all", 0), ("warnings", 2), ("errors", 3))
_SIGN = {"WARNING": ("▲", "warning"), "ERROR": ("✗", "error"), "CRITICAL": ("✗", "error")}


class Log(Area):
    """Asks for new records once a second, while it is seen."""

    MODE = "logs"
    TITLE = "Logs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow"),
        Binding("v", "level", "Level"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape", "clear", "Clear search"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._records: deque[LogRecord] = deque(maxlen=_KEPT)
        self._filter = 0
        self._needle = ""
        self._began = 0.0
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        """What is shown, the lines, and the search field."""
        yield Static(id="log-head")
        yield RichLog(id="log", max_lines=_KEPT, wrap=False, auto_scroll=True)
        yield Input(id="needle", placeholder="search", compact=True)

    def on_mount(self) -> None:
        """The lines have the keys; the search field comes when asked for."""
        self.query_one("#needle").display = False
        self.query_one(RichLog).focus()
        self._timer = self.set_interval(_PERIOD_SECONDS, self._fetch)

    def on_screen_resume(self) -> None:
        """Catch up at once."""
        super().on_screen_resume()
        if self._timer:
            self._timer.resume()
        self._fetch()

    def on_screen_suspend(self) -> None:
        """Nobody looks: ask nothing."""
        if self._timer:
            self._timer.pause()

    def show(self, _: Snapshot) -> None:
        """The lines come by `logs`; here is only what is shown of them."""
        log = self.query_one(RichLog)
        told = [
            ("following" if log.auto_scroll else "paused: f follows", LIGHT if log.auto_scroll else "bold")
        ]
        told.append((f"   level {_FILTERS[self._filter][0]}", DIM))
        if self._needle:
            told.append((f"   with {self._needle!r}", DIM))
        told.append((f"   {len(log.lines)} lines", DIM))
        self.query_one("#log-head", Static).update(row(*told), layout=False)

    @work(exclusive=True, group="logs")
    async def _fetch(self) -> None:
        try:
            page = await self._after(self._records[-1].seq if self._records else 0)
            if self._records and page.began != self._began:  # a daemon that starts again counts from one
                page = await self._after(0)
                self._records.clear()
        except FanlightError:
            return  # the banner tells of it
        self._began = page.began
        if page.records and not self._records:
            self.query_one(RichLog).clear()
        self._records.extend(page.records)
        self._write(page.records)

    async def _after(self, seq: int) -> LogPage:
        return await self.fanlight.appliance.call("logs", LogsParams(after=seq), LogPage)

    def _write(self, records: "list[LogRecord] | deque[LogRecord]") -> None:
        log = self.query_one(RichLog)
        for record in records:
            if self._wanted(record):
                log.write(self._line(record), scroll_end=log.auto_scroll)
        if snapshot := self.fanlight.snapshot:
            self.show(snapshot)

    def _rewrite(self) -> None:
        self.query_one(RichLog).clear()
        self._write(self._records)

    def _wanted(self, record: LogRecord) -> bool:
        level = _ORDER.index(record.level) if record.level in _ORDER else 1
        if level < _FILTERS[self._filter][1]:
            return False
        return self._needle.lower() in f"{record.name} {record.text}".lower()

    def _line(self, record: LogRecord) -> Text:
        colours = self.app.theme_variables
        sign, colour = _SIGN.get(record.level, ("·", "faint"))
        at = datetime.fromtimestamp(record.time, UTC).astimezone().strftime("%H:%M:%S")
        faint = colours.get("faint", "")
        line = Text.assemble(
            (f"{at} ", faint),
            (f"{sign} {record.level.lower():<8}", colours.get(colour, "")),
            (f"{record.name.removeprefix('appliance.')}: ", faint),
            words.printable(record.text),
        )
        if self._needle:
            line.highlight_words([self._needle], f"reverse {colours.get('accent', '')}", case_sensitive=False)
        return line

    def action_follow(self) -> None:
        """Stay at the end, or do not."""
        log = self.query_one(RichLog)
        log.auto_scroll = not log.auto_scroll
        if log.auto_scroll:
            log.scroll_end(animate=False)
        self.draw()

    def action_level(self) -> None:
        """The next level."""
        self._filter = (self._filter + 1) % len(_FILTERS)
        self._rewrite()

    def action_search(self) -> None:
        """Open the search field."""
        needle = self.query_one("#needle", Input)
        needle.display = True
        needle.focus()

    def action_clear(self) -> None:
        """Close the search field and show all lines again."""
        needle = self.query_one("#needle", Input)
        needle.value = ""
        needle.display = False
        self.query_one(RichLog).focus()

    @on(Input.Changed, "#needle")
    def _search(self, event: Input.Changed) -> None:
        self._needle = event.value
        self._rewrite()
        self.refresh_bindings()

    @on(Input.Submitted, "#needle")
    def _searched(self) -> None:
        self.query_one(RichLog).focus()

    def allows(self, action: str) -> bool | None:
        """There must be a search to clear."""
        if action == "clear":
            return bool(self._needle) or self.query_one("#needle").display
        return True
