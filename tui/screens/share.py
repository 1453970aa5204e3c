"""Letting people in, by a link with a role and an end or a PIN for a browser, and who may come in so far."""

from datetime import UTC, datetime
from typing import ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import DataTable, Digits, Static

from appliance.control import words
from appliance.control.credentials import Device, Devices, Pin, Role, ShareParams, Shares, ShareShown
from appliance.control.credentials import Share as Link
from appliance.control.snapshot import Snapshot
from appliance.errors import FanlightError
from tui.dialogs import BigQr
from tui.screens.area import Area
from tui.widgets.qr import QrCode
from tui.widgets.table import Cell, Column, LiveTable
from tui.widgets.text import DIM, LIGHT, WARN, lines, row

_ROLES: Final = (Role.VIEW, Role.CONTROL)
_LASTING: Final = (("1 hour", 3600), ("12 hours", 12 * 3600), ("7 days", 7 * 86400))
_COLUMNS = (Column("BROWSER OR LINK", 19, 24), Column("ROLE", 7, 7), Column("SEEN OR UNTIL", 0, 16))


class Share(Area):
    """The choices and their keys on the left, something for a phone to scan on the right."""

    MODE = "share"
    TITLE = "Share"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "link", "New link"),
        Binding("p", "pin", "New PIN"),
        Binding("c", "copy", "Copy"),
        Binding("z", "zoom", "Big QR"),
        Binding("u", "revoke", "Revoke"),
        Binding("i", "choose('instance')", "Instance", show=False),
        Binding("r", "choose('role')", "Role", show=False),
        Binding("e", "choose('lasting')", "Expiry", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._role = 0
        self._lasting = 1
        self._made: Link | Pin | None = None
        self._devices: dict[str, Device] | None = None
        """By their ids; None: not known yet."""
        self._shares: dict[str, ShareShown] = {}

    def body(self) -> ComposeResult:
        """Left the choices, right the code."""
        with Horizontal():
            with Vertical(id="doors"):
                yield Static(id="choices", classes="panel")
                with Vertical(id="made", classes="panel"):
                    yield Digits(id="pin")
                    yield Static(id="link")
                yield LiveTable(_COLUMNS, id="allowed", none="nobody yet")
            yield QrCode(id="qr", hint="no room for the QR code: z shows it on the whole terminal")

    def on_mount(self) -> None:
        """Count down once a second while a PIN is shown."""
        self.query_one("#choices").border_title = "New link"
        self.query_one("#allowed").border_title = "Who may come in"
        self.query_one(LiveTable).focus()
        self.set_interval(1.0, self._tick)

    def on_screen_resume(self) -> None:
        """Browsers may have paired meanwhile, and links may have ended."""
        super().on_screen_resume()
        self._fetch()

    def show(self, _: Snapshot) -> None:
        """Draw the choices and what was made."""
        watched = self.fanlight.watched
        choices = (
            ("i", "instance", watched.application if watched else "nothing runs"),
            ("r", "role", "watch only" if _ROLES[self._role] is Role.VIEW else "watch and control"),
            ("e", "expires in", _LASTING[self._lasting][0]),
        )
        self.query_one("#choices", Static).update(
            lines(
                *(
                    row((f" {key} ", f"bold {LIGHT}"), (f"{name:<11}", DIM), value)
                    for key, name, value in choices
                )
            ),
            layout=False,
        )
        self._show_made()

    def _show_made(self) -> None:
        made, box = self._made, self.fanlight.snapshot
        pin = self.query_one("#pin", Digits)
        pin.display = isinstance(made, Pin)
        panel = self.query_one("#made")
        if isinstance(made, Pin):
            left = made.expires_at - self.fanlight.clock()
            panel.border_title = "PIN for one browser"
            pin.update(f"{made.pin[:3]} {made.pin[3:]}")
            until = (
                (f"for {words.duration(left)}", LIGHT if left > 30 else WARN)
                if left > 0
                else ("expired: p", WARN)
            )
            self._show_link(made.url, row("type it at the page  ", until), valid=left > 0)
        elif made:
            panel.border_title = f"Link to {'control' if made.role.controls else 'watch'}"
            ends = datetime.fromtimestamp(made.expires_at, UTC).astimezone().strftime("%d %b %H:%M")
            self._show_link(made.url, row(("until ", DIM), (ends, LIGHT)), valid=True)
        else:
            url = box.box.urls[0] if box and box.box.urls else ""
            panel.border_title = "The page"
            self._show_link(url, Content.styled("needs a PIN; s makes a link without", DIM), valid=bool(url))

    def _show_link(self, url: str, below: Content, *, valid: bool) -> None:
        self.query_one("#link", Static).update(lines(url or words.NA, below))
        self.query_one(QrCode).show(url if valid else "")

    @property
    def _link(self) -> str:
        """What the QR code holds."""
        if self._made:
            return self._made.url
        snapshot = self.fanlight.snapshot
        return snapshot.box.urls[0] if snapshot and snapshot.box.urls else ""

    def _tick(self) -> None:
        if self.is_current and isinstance(self._made, Pin):
            self._fetch()
            self._show_made()

    def action_choose(self, what: str) -> None:
        """The next value of one choice."""
        if what == "instance":
            self.fanlight.turn(1)
        elif what == "role":
            self._role = (self._role + 1) % len(_ROLES)
        else:
            self._lasting = (self._lasting + 1) % len(_LASTING)
        self.draw()

    @work(exclusive=True, group="share")
    async def action_link(self) -> None:
        """Make a link of the choices."""
        watched = self.fanlight.watched
        params = ShareParams(
            instance=watched.id if watched else None,
            role=_ROLES[self._role],
            expires_s=_LASTING[self._lasting][1],
        )
        if made := await self.fanlight.perform("share", params, Link):
            self._made = made
            self.draw()
            self._fetch()

    @work(exclusive=True, group="share")
    async def action_pin(self) -> None:
        """Make a PIN."""
        if made := await self.fanlight.perform("pair", None, Pin):
            self._made = made
            self.draw()

    def action_copy(self) -> None:
        """Copy the link to the clipboard of the terminal (OSC 52)."""
        self.fanlight.copy(self._link)

    def action_zoom(self) -> None:
        """Show the code on the whole terminal."""
        if self._link:
            self.app.push_screen(BigQr(self._link))

    @work(exclusive=True, group="allowed")
    async def _fetch(self) -> None:
        call = self.fanlight.appliance.call
        try:
            paired = await call("devices", None, Devices)
            shared = await call("shares", None, Shares)
        except FanlightError:
            return
        devices = {each.id: each for each in paired.devices}
        if (
            isinstance(self._made, Pin)
            and self._devices is not None
            and devices.keys() - self._devices.keys()
        ):
            self._made = None  # it has been typed in
            self.draw()
        self._devices, self._shares = devices, {each.id: each for each in shared.shares}
        rows: dict[str, tuple[Cell, ...]] = {
            each.id: (each.name, (each.role, DIM), _moment(each.last_seen)) for each in paired.devices
        }
        for each in shared.shares:
            rows[each.id] = (f"link: {words.shared(each)}", LIGHT), (each.role, DIM), _moment(each.expires_at)
        self.query_one(LiveTable).show(rows)
        self.refresh_bindings()

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self.refresh_bindings()

    @work(group="action")
    async def action_revoke(self) -> None:
        """Ask, then forget the chosen browser, or revoke the chosen link."""
        selected = self.query_one(LiveTable).selected or ""
        device, share = (self._devices or {}).get(selected), self._shares.get(selected)
        if device and await self.fanlight.unpair(device):
            self._fetch()
        elif share and await self.fanlight.unshare(share):
            if isinstance(self._made, Link) and self._made.id == share.id:
                self._made = None
                self.draw()
            self._fetch()

    def allows(self, action: str) -> bool | None:
        """Read only makes nothing; grey is what lacks its object."""
        if action in ("link", "pin", "revoke") and self.fanlight.read_only:
            return False
        if action == "revoke":
            return True if self.query_one(LiveTable).selected else None
        if action == "link":
            return True if self.fanlight.watched else None
        if action in ("copy", "zoom"):
            return True if self._link else None
        return True


def _moment(unix: int | None) -> str:
    if unix is None:
        return words.NA
    return datetime.fromtimestamp(unix, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
