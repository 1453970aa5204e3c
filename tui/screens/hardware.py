"""GPUs, every encoder with the reason it works or not, and the displays."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from appliance.control import words
from appliance.control.snapshot import Display, Encoder, Gpu, Snapshot
from tui.screens.area import Area
from tui.widgets.text import DIM, LIGHT, fact, lines, ok, row


class Hardware(Area):
    """What hw/ found."""

    MODE = "hardware"
    TITLE = "Hardware"

    def body(self) -> ComposeResult:
        """Why things are as they are, then the three lists."""
        with VerticalScroll(id="hardware-lists"):
            yield Static(id="reason")
            for name, title in (("gpus", "GPUs"), ("encoders", "Encoders"), ("displays", "Displays")):
                panel = Static(id=name, classes="panel")
                panel.border_title = title
                yield panel

    def show(self, snapshot: Snapshot) -> None:
        """Draw the lists."""
        found = snapshot.hardware
        reason = self.query_one("#reason", Static)
        reason.display = bool(found.reason)
        reason.update(Content.styled(found.reason, LIGHT))
        self.query_one("#gpus", Static).update(_gpus(found.gpus))
        self.query_one("#encoders", Static).update(_encoders(found.encoders))
        self.query_one("#displays", Static).update(_displays(found.displays))


def _gpus(gpus: Sequence[Gpu]) -> Content:
    if not gpus:
        return Content.styled("udev shows none", DIM)
    rows: list[Content | str] = []
    for each in gpus:
        rows.append(row((each.name, "bold"), f"  {each.vendor}"))
        rows.append(
            fact(
                "  driver",
                f"{each.driver or words.NA}  {each.pci}  ",
                (each.card, DIM),
                "  ",
                each.render_node,
            )
        )
    return lines(*rows)


def _encoders(encoders: Sequence[Encoder]) -> Content:
    if not encoders:
        return Content.styled("none was tried yet", DIM)
    width = max(len(each.name) for each in encoders)
    return lines(
        *(
            row(
                ok(each.works, f"{each.name:<{width}}  "),
                f"{each.codec:<5}  ",
                (f"{words.encoder_kind(each)}  ", LIGHT if each.hardware else DIM),
                (each.detail, DIM if each.works else ""),
            )
            for each in encoders
        )
    )


def _displays(displays: Sequence[Display]) -> Content:
    if not displays:
        return Content.styled("none: an application gets a screen of its own", DIM)
    return lines(
        *(
            row(ok(each.reachable, f"{each.name}  "), (f"{each.kind}  ", DIM), each.detail)
            for each in displays
        )
    )
