"""What the six areas share: title, area bar, banner, footer, and when they are drawn."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Footer

from appliance.control.snapshot import Snapshot
from tui.widgets.bars import AreaBar, Banner, TitleBar

if TYPE_CHECKING:
    from tui.app import FanlightApp


class Area(Screen[None]):
    """An area draws itself whole from each snapshot; only the one that is seen is drawn."""

    MODE: ClassVar[str]
    TITLE: ClassVar[str | None]

    def compose(self) -> ComposeResult:
        """The frame around `body`."""
        yield TitleBar(id="title")
        yield AreaBar(id="areas")
        yield Banner(id="banner")
        with Container(id="body"):
            yield from self.body()
        yield Footer(compact=True, show_command_palette=False)

    def body(self) -> ComposeResult:
        """What is particular to the area."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot) -> None:
        """Draw `snapshot`."""
        raise NotImplementedError

    def allows(self, action: str) -> bool | None:
        """Whether `action` works now: False takes its key away, None greys it."""
        return bool(action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Textual asks here for the footer and before each key."""
        return self.allows(action)

    @property
    def fanlight(self) -> "FanlightApp":
        """The app, by its own type."""
        return cast("FanlightApp", self.app)

    def draw(self) -> None:
        """Draw what is known now, the frame included."""
        app = self.fanlight
        reachable = not app.trouble
        with self.app.batch_update():
            self.query_one(TitleBar).show(app.snapshot, reachable=reachable, read_only=app.read_only)
            self.query_one(AreaBar).show(app.AREAS, self.MODE)
            stale = app.snapshot is not None
            self.query_one(Banner).show(app.trouble, stale=stale, refused=app.refused)
            body = self.query_one("#body")
            body.display = app.snapshot is not None
            body.set_class(not reachable, "-stale")
            if app.snapshot:
                self.show(app.snapshot)
        self.refresh_bindings()

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another area was shown."""
        self.draw()

    def on_resize(self) -> None:
        """Some lines are as long as the terminal is wide."""
        if self.is_current:
            self.call_after_refresh(self.draw)
