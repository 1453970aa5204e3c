"""Modal questions: confirm, launch, help, and a QR code as large as the terminal."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from appliance.control import words
from appliance.control.schema import LaunchParams
from appliance.control.snapshot import Application
from tui.widgets.qr import QrCode
from tui.widgets.text import DIM, LIGHT, lines, row


class Confirm(ModalScreen[bool]):
    """Asks before something is taken away. The safe answer has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, consequence: str, verb: str) -> None:
        super().__init__()
        self._question, self._consequence, self._verb = question, consequence, verb

    def compose(self) -> ComposeResult:
        """Question, consequence, two buttons."""
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._question, "bold"))
            yield Static(Content.styled(self._consequence, DIM), id="consequence")
            with Horizontal(classes="buttons"):
                yield Button("Cancel  n", id="no", compact=True)
                yield Button(f"{self._verb}  y", id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        """Enter must do no harm."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Close with an answer."""
        self.dismiss(yes)


class Launch(ModalScreen[LaunchParams | None]):
    """Asks what to launch, and at which size and rate."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(self, applications: Sequence[Application], chosen: str | None = None) -> None:
        super().__init__()
        self._applications = applications
        names = [each.name for each in applications]
        self._chosen = names.index(chosen) if chosen in names else 0

    def compose(self) -> ComposeResult:
        """Applications, size, rate."""
        options = [Option(row(f"{each.name}  ", (words.kind(each), DIM))) for each in self._applications]
        with Vertical(classes="dialog"):
            yield Static(Content.styled("Launch an application", "bold"))
            yield OptionList(*options, id="applications", compact=True)
            with Horizontal(classes="fields"):
                yield Label("size")
                yield Input(placeholder="as configured", id="size", compact=True)
                yield Label("fps")
                yield Input(placeholder="auto", id="fps", type="integer", compact=True)
            yield Checkbox("with a session, so that it can be streamed", True, id="streaming", compact=True)
            yield Static("", id="fault")
            with Horizontal(classes="buttons"):
                yield Button("Cancel  esc", id="cancel", compact=True)
                yield Button("Launch", id="launch", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Start at the chosen application."""
        applications = self.query_one(OptionList)
        applications.highlighted = self._chosen
        applications.focus()

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    @on(Button.Pressed, "#launch")
    def _launch(self) -> None:
        try:
            self.dismiss(self._params())
        except ValueError as exc:
            self.query_one("#fault", Static).update(row((f"✗ {exc}", "$error")))

    def _params(self) -> LaunchParams:
        index = self.query_one(OptionList).highlighted
        if index is None:
            raise ValueError("choose an application")
        size = self.query_one("#size", Input).value.strip()
        width, height = words.parse_size(size) if size else (None, None)
        if (width or 0) > 3840 or (height or 0) > 2160:
            raise ValueError("3840x2160 is the largest size")
        fps = self.query_one("#fps", Input).value.strip()
        if fps and not 1 <= int(fps) <= 240:
            raise ValueError("fps is a number from 1 to 240")
        return LaunchParams(
            application=self._applications[index].name,
            width=width,
            height=height,
            fps=int(fps) if fps else None,
            streaming=self.query_one("#streaming", Checkbox).value,
        )

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Launch nothing."""
        self.dismiss(None)


class BigQr(ModalScreen[None]):
    """The whole terminal for one QR code."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,z,enter", "dismiss", "Close")]

    def __init__(self, link: str) -> None:
        super().__init__()
        self._link = link

    def compose(self) -> ComposeResult:
        """The code, and nothing that could confuse a camera."""
        yield QrCode(id="big-qr", hint="this terminal is too small for the QR code; esc closes")

    def on_mount(self) -> None:
        """Draw once the size is known."""
        self.call_after_refresh(self.query_one(QrCode).show, self._link)


class Help(ModalScreen[None]):
    """The keys that work on this screen, and what the signs mean."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]

    def __init__(self, title: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title_text, self._keys = title, keys

    def compose(self) -> ComposeResult:
        """Keys on top, signs below."""
        with VerticalScroll(classes="dialog help"):
            yield Static(Content.styled(self._title_text, f"bold {LIGHT}"))
            yield Static(lines(*(row((f"{key:>8}  ", "bold"), text) for key, text in self._keys)))
            yield Static(Content.styled("Signs", f"bold {LIGHT}"), id="signs")
            yield Static(lines(*(row((f"{sign:>8}  ", "bold"), text) for sign, text in _SIGNS)))


_SIGNS = (
    ("● LIVE", "somebody watches a running stream"),
    ("○ IDLE", "all is well and nobody watches"),
    ("▲", "works, but worse than it should"),
    ("✗", "does not work; beside it stands what mends it"),
    ("n/a", "not known, which is not zero"),
)
