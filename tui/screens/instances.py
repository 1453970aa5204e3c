"""What runs, and starting and stopping it."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable, Static

from appliance.control import words
from appliance.control.snapshot import Instance, Snapshot
from tui.screens.area import Area
from tui.widgets.table import Cell, Column, LiveTable
from tui.widgets.text import DIM, WARN, fact, lines, row, state, state_style

_COLUMNS = (
    Column("STATE", 10, 10),
    Column("APPLICATION", 14, 16),
    Column("ID", 0, 12),
    Column("SIZE", 9, 9),
    Column("FPS", 5, 5, right=True),
    Column("RATE", 0, 9, right=True),
    Column("LATENCY", 0, 8, right=True),
    Column("ENCODER", 15, 18),
    Column("VIEWERS", 7, 7, right=True),
    Column("UP", 0, 11),
    Column("RESTARTS", 0, 8, right=True),
)


class Instances(Area):
    """A table of instances, and the details of the one under the cursor."""

    MODE = "instances"
    TITLE = "Instances"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "app.launch", "Launch"),
        Binding("x", "stop", "Stop"),
        Binding("k", "keyframe", "Keyframe"),
        Binding("s", "share", "Share"),
    ]

    def body(self) -> ComposeResult:
        """Table above, details below."""
        yield LiveTable(_COLUMNS, id="instances", none="nothing runs")
        yield Static(id="details", classes="panel")

    def on_mount(self) -> None:
        """The table has the keys."""
        self.query_one("#details").border_title = "Details"
        self.query_one(LiveTable).focus()

    @property
    def chosen(self) -> Instance | None:
        """The instance under the cursor."""
        return self.fanlight.instance(self.query_one(LiveTable).selected)

    def show(self, snapshot: Snapshot) -> None:
        """Draw table and details."""
        self.query_one(LiveTable).show({each.id: _row(each) for each in snapshot.instances})
        self._show_details()

    @on(DataTable.RowHighlighted)
    def _show_details(self) -> None:
        self.query_one("#details", Static).update(_details(self.chosen), layout=False)
        self.refresh_bindings()

    @on(DataTable.RowSelected)
    def _to_overview(self, event: DataTable.RowSelected) -> None:
        """Enter shows the stream of the row."""
        self.fanlight.watched_id = event.row_key.value
        self.fanlight.action_area("overview")

    def action_stop(self) -> None:
        """Ask, then stop."""
        if chosen := self.chosen:
            self.fanlight.stop(chosen)

    def action_keyframe(self) -> None:
        """Ask the encoder for a keyframe."""
        if chosen := self.chosen:
            self.fanlight.keyframe(chosen)

    def action_share(self) -> None:
        """Make a link into the chosen one."""
        if chosen := self.chosen:
            self.fanlight.watched_id = chosen.id
            self.fanlight.action_area("share")

    def allows(self, action: str) -> bool | None:
        """What needs a row is grey without one; what changes things is away when read only."""
        if action in ("stop", "keyframe"):
            if self.fanlight.read_only:
                return False
            return True if self.chosen else None
        return True


def _row(each: Instance) -> tuple[Cell, ...]:
    stats = each.stats
    return (
        (" ".join(words.INSTANCE[each.state]), state_style(each.state)),
        each.application,
        (each.id, DIM),
        words.size(stats.width, stats.height) if stats else words.NA,
        words.number(stats.fps) if stats else words.NA,
        words.bitrate(stats.bitrate_kbps) if stats else words.NA,
        words.number(stats.capture_to_encoded_p50_ms, "ms") if stats else words.NA,
        (words.encoder(each), WARN if stats and stats.software_fallback else ""),
        str(len(stats.viewers)) if stats else words.NA,
        words.duration(each.uptime_s),
        (words.number(each.restarts, digits=0), WARN if each.restarts else ""),
    )


def _details(each: Instance | None) -> Content:
    if each is None:
        return Content.styled("Nothing runs. l launches an application.", DIM)
    session = each.session or "none: it was launched without streaming"
    rows = [fact("id", row(each.id, "  ", state(each), f"  up {words.duration(each.uptime_s)}"))]
    if each.box:
        rows.append(fact("box", each.box))
    rows.append(fact("session", session, f"  restarts {words.number(each.restarts, digits=0)}"))
    if stats := each.stats:
        rows.append(fact("source", words.source(stats), (f"  {each.why}" if each.why else "", DIM)))
        if stats.encoder:
            rows.append(fact("encoder", (words.encoder(each), "bold"), f"  {stats.encoder_reason}"))
            rows.append(
                fact(
                    "picture",
                    f"{words.size(stats.width, stats.height)} {stats.codec}  "
                    f"{words.rate_of(stats.fps, stats.target_fps)} fps  "
                    f"{words.bitrate_of(stats.bitrate_kbps, stats.target_kbps)}",
                )
            )
        rows.append(fact("sound", stats.audio or words.NA))
        rows.append(fact("input", stats.input or words.NA))
        if stats.recording:
            rows.append(fact("recorded", f"● {stats.recording}"))
        if stats.recording_problem:
            rows.append(fact("recorded", (f"not at all: {stats.recording_problem}", WARN)))
    if trouble := (each.stats.problem if each.stats else "") or each.detail:
        rows.append(fact("problem", (trouble, WARN)))
    return lines(*rows)
