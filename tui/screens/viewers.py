"""Who is connected, and how well."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from appliance.control import words
from appliance.control.snapshot import Instance, Snapshot, ViewerStats
from tui.screens.area import Area
from tui.widgets.table import Cell, Column, LiveTable
from tui.widgets.text import DIM, LIGHT, WARN

_LOSS_WARNING_PERCENT = 1.0

_COLUMNS = (
    Column("WHO", 17, 17),
    Column("ROLE", 7, 7),
    Column("WATCHES", 12, 12),
    Column("BY", 0, 8),
    Column("PATH", 5, 5),
    Column("LATENCY", 0, 7, right=True),
    Column("RTT", 6, 6, right=True),
    Column("LOSS", 6, 6, right=True),
    Column("QUEUE", 0, 6, right=True),
    Column("RATE", 9, 9, right=True),
    Column("LIMIT", 0, 9, right=True),
    Column("DROPPED", 0, 7, right=True),
    Column("FOR", 0, 11),
    Column("PLI", 0, 4, right=True),
)


class Viewers(Area):
    """A table of viewers."""

    MODE = "viewers"
    TITLE = "Viewers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "kick", "Disconnect"),
        Binding("s", "app.area('share')", "Share"),
    ]

    def body(self) -> ComposeResult:
        """Only the table."""
        yield LiveTable(_COLUMNS, id="viewers", none="nobody watches; s makes a link")

    def on_mount(self) -> None:
        """The table has the keys."""
        self.query_one(LiveTable).focus()

    @property
    def chosen(self) -> ViewerStats | None:
        """The viewer under the cursor."""
        return self.fanlight.viewer(self.query_one(LiveTable).selected)

    def show(self, snapshot: Snapshot) -> None:
        """Draw the table."""
        found = ((each, viewer) for each in snapshot.instances if each.stats for viewer in each.stats.viewers)
        self.query_one(LiveTable).show({viewer.id: _row(each, viewer) for each, viewer in found})

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self.refresh_bindings()

    def action_kick(self) -> None:
        """Ask, then disconnect."""
        if chosen := self.chosen:
            self.fanlight.kick(chosen)

    def allows(self, action: str) -> bool | None:
        """Nobody can be disconnected where nobody is chosen."""
        if action == "kick":
            if self.fanlight.read_only:
                return False
            return True if self.chosen else None
        return True


def _row(instance: Instance, each: ViewerStats) -> tuple[Cell, ...]:
    lossy = each.loss_percent is not None and each.loss_percent >= _LOSS_WARNING_PERCENT
    return (
        words.viewer(each),
        (each.role, LIGHT if each.role.controls else DIM),
        instance.application,
        (each.dialect, DIM),
        each.pair or words.NA,
        words.number(each.latency_ms, "ms", 0),
        words.number(each.rtt_ms, "ms", 0),
        (f"{'▲' if lossy else ''}{words.number(each.loss_percent, '%')}", WARN if lossy else ""),
        words.number(each.queue_delay_ms, "ms", 0),
        words.bitrate(each.bitrate_kbps),
        words.bitrate(each.target_kbps),
        str(each.frames_dropped),
        words.duration(each.age_s),
        str(each.plis),
    )
