"""What every screen has: the box and its health, the six areas, and the banner of a lost daemon."""

from textual.content import Content
from textual.widgets import Static

from appliance.control import words
from appliance.control.snapshot import Snapshot
from tui.widgets.text import BAD, DIM, HEALTH_STYLE, LIGHT, row


class TitleBar(Static):
    """`◓ Fanlight  edge-7  ● LIVE  up 3 d 4 h`."""

    def show(self, snapshot: Snapshot | None, *, reachable: bool, read_only: bool) -> None:
        """Draw the box; its last known name where the daemon is gone."""
        left = [("◓ Fanlight ", f"bold {LIGHT}")]
        if snapshot:
            left.append((f" {snapshot.box.name} ", "bold"))
        right = ""
        if snapshot and reachable:
            glyph, word = words.HEALTH[snapshot.box.health]
            left.append((f"  {glyph} {word} ", f"bold {HEALTH_STYLE[snapshot.box.health]}"))
            watching = sum(len(each.stats.viewers) for each in snapshot.instances if each.stats)
            right = f"{words.one_or_many(watching, 'viewer')} · up {words.duration(snapshot.box.uptime_s)}"
            right += f" · {snapshot.box.version}"
        elif reachable:
            left.append(("  ◌ CONNECTING ", DIM))
        else:
            left.append(("  ✗ NO DAEMON ", f"bold {BAD}"))
        if read_only:
            right = f"read only · {right}"
        told = row(*left)
        room = max(1, self.app.size.width - 2 - told.cell_length - len(right))
        self.update(row(told, " " * room, (right, DIM)), layout=False)


class AreaBar(Static):
    """`1 Overview  2 Instances …`, the one that is shown being lit. Each can be clicked."""

    def show(self, areas: dict[str, str], current: str) -> None:
        """Draw `areas` (mode to title)."""
        told = []
        for number, (mode, title) in enumerate(areas.items(), 1):
            style = f"bold {LIGHT} on $panel" if mode == current else "$foreground"
            text = f" [$accent]{number}[/] [{style}]{title}[/] "
            if mode == current:
                text = f"[{style}] {number} {title} [/]"
            told.append(Content.from_markup(f"[@click=app.area('{mode}')]{text}[/]"))
        self.update(Content(" ").join(told), layout=False)


class Banner(Static):
    """Says that the daemon is gone; takes no room while it is there."""

    def show(self, trouble: str, *, stale: bool, refused: bool) -> None:
        """Show `trouble`, or nothing; `stale`: what was there is still shown; `refused`: only to us."""
        self.display = bool(trouble)
        if refused:
            help_text = "sudo fanlight tui; or sudo adduser $USER fanlight, and log in anew."
        elif stale:
            help_text = "Trying again. What you see is the last known."
        else:
            help_text = "Trying again. Start it: systemctl start fanlight"
        self.update(row((f"✗ {trouble}", "bold"), f"  {help_text}"))
