"""Is it live, what is it sending, who is watching, is it healthy, what is wrong."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from appliance.control import words
from appliance.control.snapshot import Instance, InstanceStats, Snapshot
from tui.history import known
from tui.screens.area import Area
from tui.widgets.chart import Chart
from tui.widgets.text import DIM, LIGHT, WARN, Piece, cells, clip, fact, lines, parts, problem, row, state


class Overview(Area):
    """Everything at a glance."""

    MODE = "overview"
    TITLE = "Overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "Previous stream", show=False),
        Binding("right", "turn(1)", "Next stream", key_display="→"),
        Binding("l", "app.launch", "Launch"),
        Binding("s", "app.area('share')", "Share"),
        Binding("c", "app.copy_url", "Copy URL"),
    ]

    def body(self) -> ComposeResult:
        """Problems first, then the stream, then the box and its viewers."""
        yield Static(id="problems", classes="panel")
        with Container(id="panels"):
            with Vertical(id="stream", classes="panel"):
                yield Static(id="facts")
                yield Chart("fps", id="fps")
                yield Chart("bitrate", id="bitrate")
                yield Chart("latency", id="latency")
                yield Static(id="counts")
            yield Static(id="box", classes="panel")
            yield Static(id="viewers", classes="panel")
            yield Static(id="hardware", classes="panel")

    def on_mount(self) -> None:
        """Name the panels."""
        for name in ("problems", "stream", "box", "viewers", "hardware"):
            self.query_one(f"#{name}").border_title = name.capitalize()

    def show(self, snapshot: Snapshot) -> None:
        """Draw all panels."""
        self._show_problems(snapshot)
        instance = self.fanlight.watched
        self._show_stream(snapshot, instance)
        self._show_viewers(instance)
        self.query_one("#box", Static).update(_box(snapshot), layout=False)
        self.query_one("#hardware", Static).update(_hardware(snapshot), layout=False)

    def _show_problems(self, snapshot: Snapshot) -> None:
        panel = self.query_one("#problems", Static)
        panel.display = bool(snapshot.problems)
        panel.border_title = f"Problems {len(snapshot.problems)}"
        panel.update(
            lines(*(line for each in snapshot.problems for line in problem(each, self.size.width - 4)))
        )

    def _show_stream(self, snapshot: Snapshot, instance: Instance | None) -> None:
        panel = self.query_one("#stream")
        stats = instance.stats if instance else None
        panel.set_class(stats is None, "-silent")
        self.query_one("#facts", Static).update(_facts(instance))
        if instance is None:
            panel.border_title, panel.border_subtitle = "Stream", ""
            return
        ids = [each.id for each in snapshot.instances]
        panel.border_title = f"Stream · {instance.application}"
        many = len(ids) > 1
        panel.border_subtitle = f"← {ids.index(instance.id) + 1} of {len(ids)} →" if many else ""
        if stats:
            self._show_charts(instance.id, stats)
            self.query_one("#counts", Static).update(
                _counts(instance, stats, short=self.has_class("-short")), layout=False
            )

    def _show_charts(self, instance: str, stats: InstanceStats) -> None:
        samples = self.fanlight.history.of(instance)
        self.query_one("#fps", Chart).show(
            samples.fps,
            words.rate_of(stats.fps, stats.target_fps),
            ceiling=stats.target_fps,
            note=_lowest(samples.fps, "lowest {:.0f}"),
        )
        self.query_one("#bitrate", Chart).show(
            samples.kbps,
            words.bitrate_of(stats.bitrate_kbps, stats.target_kbps),
            note=_highest(samples.kbps, "peak {:.1f} Mb/s", 1000),
        )
        p50, p95 = stats.capture_to_encoded_p50_ms, stats.capture_to_encoded_p95_ms
        self.query_one("#latency", Chart).show(
            samples.latency_ms,
            f"{words.number(p50)}, p95 {words.number(p95, 'ms')}",
            note="to encoded",
        )

    def _show_viewers(self, instance: Instance | None) -> None:
        panel = self.query_one("#viewers", Static)
        found = instance.stats.viewers if instance and instance.stats else []
        panel.border_title = f"Viewers {len(found)}"
        room, width = max(1, panel.content_size.height), max(20, panel.content_size.width)
        shown = found[: room - 1] if len(found) > room else found
        name = max(8, width - 31) if width >= 48 else max(8, width - 22)
        rows = [
            cells(
                (
                    (words.viewer(each), name, ""),
                    (each.role, 7, LIGHT if each.role.controls else DIM),
                    *([(words.number(each.rtt_ms, "ms", 0), 7, "")] if width >= 48 else []),
                    (words.bitrate(each.bitrate_kbps), 9, ""),
                )
            )
            for each in shown
        ]
        if len(found) > len(shown):
            rows.append(Content.styled(f"and {len(found) - len(shown)} more (3)", DIM))
        panel.update(
            lines(*rows) if rows else Content.styled("nobody watches; s makes a link", DIM), layout=False
        )

    def action_turn(self, by: int) -> None:
        """Show the next stream."""
        self.fanlight.turn(by)
        self.draw()

    def allows(self, action: str) -> bool | None:
        """One stream needs no turning."""
        snapshot = self.fanlight.snapshot
        if action == "turn":
            return bool(snapshot and len(snapshot.instances) > 1)
        return True


def _facts(instance: Instance | None) -> Content:
    if instance is None:
        return Content.styled("Nothing runs. l launches an application.", DIM)
    stats = instance.stats
    if stats is None:
        return lines(row(state(instance), "  ", instance.detail or "the streamer has not reported yet"))
    rows = [fact("source", state(instance), "  ", words.source(stats))]
    if stats.encoder:
        why: list[Piece] = [(stats.encoder_reason or words.NA, "")]
        if stats.software_fallback:
            why.insert(0, ("▲ ", WARN))
        picture = f"{words.size(stats.width, stats.height)} {stats.codec or ''}".strip()
        rows += [fact("encoder", (words.encoder(instance), "bold"), "  ", picture), fact("why", *why)]
    if stats.problem or instance.detail:
        rows.append(row((f"▲ {stats.problem or instance.detail}", WARN)))
    return lines(*rows)


def _counts(instance: Instance, stats: InstanceStats, *, short: bool) -> Content:
    dropped = "" if stats.frames_dropped == 0 else WARN
    restarts = (
        f" · {words.one_or_many(instance.restarts, 'restart')}" if instance.restarts is not None else ""
    )
    frames = fact(
        "frames",
        f"{stats.frames_encoded:,} encoded · ",
        (f"{stats.frames_dropped:,} dropped", dropped),
        f" · {words.one_or_many(stats.keyframes, 'keyframe')}{restarts}",
    )
    sound, hands = stats.audio or words.NA, stats.input or words.NA
    if short:
        return lines(frames, fact("sound", sound, ("  input ", DIM), hands))
    return lines(frames, fact("sound", sound), fact("input", hands))


def _box(snapshot: Snapshot) -> Content:
    box = snapshot.box
    rows: list[Content | str] = [
        Content.styled(url, LIGHT if number == 0 else DIM) for number, url in enumerate(box.urls[:2])
    ]
    bad = [each for each in snapshot.parts if not each.ok]
    rows += parts([*bad, *(each for each in snapshot.parts if each.ok)])
    if box.region:
        rows.append(fact("region", box.region, width=6))
    if box.location:
        rows.append(fact("place", box.location, width=6))
    if box.fingerprint:
        rows.append(fact("SHA-256", clip(box.fingerprint, 24), width=7))
    return lines(*rows)


def _hardware(snapshot: Snapshot) -> Content:
    hardware = snapshot.hardware
    rows: list[Content | str] = [hardware.reason] if hardware.reason else []
    rows += [
        row((each.name, "bold"), f"  {each.driver}  ", (each.render_node, DIM)) for each in hardware.gpus
    ]
    working = [each.name for each in hardware.encoders if each.works]
    rows.append(fact("encoders", ", ".join(working) or "none works", width=8))
    displays = [each.name for each in hardware.displays if each.reachable]
    rows.append(fact("displays", ", ".join(displays) or "none", width=8))
    return lines(*rows)


def _lowest(values: Iterable[float | None], text: str) -> str:
    found = known(values)
    return text.format(min(found)) if found else ""


def _highest(values: Iterable[float | None], text: str, per: float = 1.0) -> str:
    found = known(values)
    return text.format(max(found) / per) if found else ""
