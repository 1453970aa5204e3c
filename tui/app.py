"""The app: it follows the daemon, remembers the last snapshot, and does what the screens ask for."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel
from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from appliance.control import words
from appliance.control.credentials import Device, ShareShown
from appliance.control.schema import Done, DrainParams, IdParams, Launched, LaunchParams, Model
from appliance.control.snapshot import Instance, InstanceState, Snapshot, ViewerStats
from appliance.errors import FanlightError, RefusedError
from tui.appliance import Appliance
from tui.commands import FanlightCommands
from tui.dialogs import Confirm, Help, Launch
from tui.history import History
from tui.screens.area import Area
from tui.screens.hardware import Hardware
from tui.screens.instances import Instances
from tui.screens.logs import Log
from tui.screens.overview import Overview
from tui.screens.share import Share
from tui.screens.viewers import Viewers
from tui.theme import DAY, NIGHT

M = TypeVar("M", bound=BaseModel)

_RETRY_SECONDS = 1.0
_NOT_IN_HELP = {"area", "focus_next", "focus_previous", "copy_text", "help_quit"}
_AREAS: tuple[type[Area], ...] = (Overview, Instances, Viewers, Share, Hardware, Log)


class FanlightApp(App[None]):
    """Shows the box behind `appliance`; truth stays there."""

    TITLE = "Fanlight"
    CSS_PATH = "fanlight.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  Textual's own annotation
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    AREAS: ClassVar[dict[str, str]] = {area.MODE: area.TITLE or area.MODE for area in _AREAS}
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {area.MODE: area for area in _AREAS}
    DEFAULT_MODE = "overview"
    COMMANDS = App.COMMANDS | {FanlightCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"area('{area.MODE}')", area.TITLE or "", show=False)
            for number, area in enumerate(_AREAS, 1)
        ),
        Binding("colon", "command_palette", "Palette", key_display=":"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(
        self, appliance: Appliance, *, read_only: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self.appliance = appliance
        self.read_only = read_only
        self.clock = clock
        self.snapshot: Snapshot | None = None
        self.trouble = ""
        self.refused = False
        """Whether the daemon is there, but not for us."""
        self.history = History()
        self.watched_id: str | None = None
        self.register_theme(NIGHT)
        self.register_theme(DAY)
        self.theme = NIGHT.name

    def on_mount(self) -> None:
        """Follow the daemon until the end."""
        self._follow()

    @work(exclusive=True, group="follow")
    async def _follow(self) -> None:
        """Draw every snapshot; where the daemon is gone, say so and try again."""
        while True:
            try:
                async for snapshot in self.appliance.watch():
                    self.snapshot, self.trouble = snapshot, ""
                    self.history.add(snapshot)
                    self._draw()
            except FanlightError as exc:
                self.trouble, self.refused = f"{exc}.", isinstance(exc, RefusedError)
                self._draw()
            await asyncio.sleep(_RETRY_SECONDS)

    def _draw(self) -> None:
        area = self.screen_stack[0]
        if isinstance(area, Area) and area.is_mounted:  # else it draws itself once it is
            area.draw()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """`$faint`, for the themes that are not ours."""
        return {**super().get_theme_variable_defaults(), "faint": "#8497ba"}

    # What is looked at.

    @property
    def watched(self) -> Instance | None:
        """The instance in focus: the chosen one, else the first that runs, else the first."""
        found = self.snapshot.instances if self.snapshot else []
        running = [each for each in found if each.state is InstanceState.RUNNING]
        return self.instance(self.watched_id) or next(iter([*running, *found]), None)

    def turn(self, by: int) -> None:
        """Bring another instance into focus."""
        if self.snapshot and (watched := self.watched):
            ids = [each.id for each in self.snapshot.instances]
            self.watched_id = ids[(ids.index(watched.id) + by) % len(ids)]

    def instance(self, named: str | None) -> Instance | None:
        """The instance with id `named`."""
        found = self.snapshot.instances if self.snapshot else []
        return next((each for each in found if each.id == named), None)

    @property
    def viewers(self) -> list[ViewerStats]:
        """Everybody who is connected."""
        found = self.snapshot.instances if self.snapshot else []
        return [viewer for each in found if each.stats for viewer in each.stats.viewers]

    def viewer(self, named: str | None) -> ViewerStats | None:
        """The viewer with id `named`."""
        return next((each for each in self.viewers if each.id == named), None)

    # What is done.

    async def perform(self, method: str, params: Model | None, reply: type[M], said: str = "") -> M | None:
        """Call the daemon and tell how it went; None where it did not.

        Success is told in the words `said`: none where the screen shows it, as a toast would cover that.
        """
        try:
            done = await self.appliance.call(method, params, reply)
        except FanlightError as exc:
            self.notify(str(exc), title="✗ Not done", severity="error", markup=False)
            return None
        if said:
            self.notify(said, title="✓ Done", markup=False)
        return done

    @work(group="action")
    async def stop(self, instance: Instance) -> None:
        """Stop `instance`, if the user says so again."""
        watching = len(instance.stats.viewers) if instance.stats else 0
        question = f"Stop {instance.application} ({instance.id})?"
        lose = (
            f"{words.one_or_many(watching, 'viewer')} will lose the picture."
            if watching
            else "Nobody watches it."
        )
        if await self.push_screen_wait(Confirm(question, lose, "Stop")):
            await self.perform("stop", IdParams(id=instance.id), Done, f"{instance.application} stopped")

    @work(group="action")
    async def kick(self, viewer: ViewerStats) -> None:
        """Disconnect `viewer`, if the user says so again."""
        who = words.viewer(viewer)
        about = f"{viewer.role}, {viewer.address or 'address not known'}, for {words.duration(viewer.age_s)}."
        if await self.push_screen_wait(Confirm(f"Disconnect {who}?", about, "Disconnect")):
            await self.perform("kick", IdParams(id=viewer.id), Done, f"{who} disconnected")

    async def unpair(self, device: Device) -> bool:
        """Forget `device`, if the user says so again."""
        question = Confirm(f"Unpair {device.name}?", "It needs a new PIN to come back.", "Unpair")
        if not await self.push_screen_wait(question):
            return False
        return bool(await self.perform("unpair", IdParams(id=device.id), Done, f"{device.name} unpaired"))

    async def unshare(self, share: ShareShown) -> bool:
        """Revoke `share`, if the user says so again."""
        link = f"link to {words.shared(share)}"
        left = words.duration(share.expires_at - self.clock())
        about = f"It holds for another {left}. Whoever came in by it is sent away."
        if not await self.push_screen_wait(Confirm(f"Revoke the {link}?", about, "Revoke")):
            return False
        return bool(await self.perform("unshare", IdParams(id=share.id), Done, f"{link} revoked"))

    @work(group="action")
    async def keyframe(self, instance: Instance) -> None:
        """Ask the encoder of `instance` for a keyframe."""
        said = f"{instance.application}: keyframe asked for"
        await self.perform("keyframe", IdParams(id=instance.id), Done, said)

    @work(group="action")
    async def drain(self, *, on: bool) -> None:
        """Take nobody new, if the user says so again; or everybody."""
        lose = "Nobody new comes in, and those who watch are told. Streams go on."
        if not on:
            await self.perform("drain", DrainParams(on=False), Done, "this box takes everybody again")
        elif await self.push_screen_wait(Confirm("Drain this box?", lose, "Drain")):
            await self.perform("drain", DrainParams(), Done, "this box is being drained")

    @work(group="action")
    async def action_launch(self, chosen: str | None = None) -> None:
        """Ask what to launch, then do."""
        if not self.snapshot or not self.snapshot.applications:
            self.notify("no application is configured", severity="warning")
            return
        params = await self.push_screen_wait(Launch(self.snapshot.applications, chosen))
        if isinstance(params, LaunchParams) and (
            launched := await self.perform("launch", params, Launched, f"{params.application} launched")
        ):
            self.watched_id = launched.instance

    def copy(self, text: str) -> None:
        """Copy `text` to the clipboard of the terminal (OSC 52, also over ssh)."""
        if text:
            self.copy_to_clipboard(text)
            self.notify(text, title="✓ Copied", markup=False)

    def action_copy_url(self) -> None:
        """Copy the address of the viewer page."""
        self.copy(self.snapshot.box.urls[0] if self.snapshot and self.snapshot.box.urls else "")

    # Moving about.

    def action_area(self, mode: str) -> None:
        """Show another area."""
        if self.current_mode != mode:
            self.switch_mode(mode)

    def action_help(self) -> None:
        """Show the keys that work here."""
        keys = [(f"1 … {len(self.AREAS)}", "Go to an area")]
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if (
                active.enabled
                and binding.key != "ctrl+q"
                and binding.action.split(".")[-1].split("(")[0] not in _NOT_IN_HELP
            ):
                keys.append((self.get_key_display(binding), binding.description))
        self.push_screen(Help(f"Keys: {self.screen.title or self.TITLE}", keys))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A read-only UI cannot launch; a question is answered before anything else happens."""
        if action == "launch" and self.read_only:
            return False
        if action in ("area", "help", "command_palette", "launch") and self.screen.is_modal:
            return False
        return super().check_action(action, parameters)

    def commands(self) -> list[tuple[str, str, Callable[[], object]]]:
        """Everything that can be done now, for the palette: name, help, callback."""
        found: list[tuple[str, str, Callable[[], object]]] = [
            (f"Show {title}", f"area {title.lower()}", partial(self.action_area, mode))
            for mode, title in self.AREAS.items()
        ]
        found.append(("Copy the URL", "address of the viewer page", self.action_copy_url))
        if self.read_only or not self.snapshot:
            return found
        if self.snapshot.box.draining:
            found.append(("Open this box again", "end of draining", partial(self.drain, on=False)))
        else:
            found.append(("Drain this box", "take nobody new", partial(self.drain, on=True)))
        for application in self.snapshot.applications:
            launch = partial(self.action_launch, application.name)
            found.append((f"Launch {application.name}", words.kind(application), launch))
        for each in self.snapshot.instances:
            found.append((f"Stop {each.application}", each.id, partial(self.stop, each)))
            found.append((f"Keyframe of {each.application}", each.id, partial(self.keyframe, each)))
        found += [
            (f"Disconnect {words.viewer(each)}", each.id, partial(self.kick, each)) for each in self.viewers
        ]
        return found
