"""`fanlight bench`: what this machine manages, measured here and now."""

import argparse
import asyncio
import dataclasses
import statistics
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from appliance.verbs.context import Context, note, table

T = TypeVar("T")

_SIZES = ((1280, 720), (1920, 1080))


def encode(context: Context, args: argparse.Namespace) -> int:
    """Milliseconds a frame of every encoder."""
    from appliance.bench import encode
    from hw.inventory import take_inventory

    probes = asyncio.run(take_inventory()).encoders
    speeds = [encode.proved(probe) for probe in probes if probe.hardware or not probe.works]
    for probe in encode.software(probes):
        for size in _SIZES:
            note(f"{probe.name} at {size[0]}x{size[1]}")
            runs = [encode.measure(probe, size, args.frames) for _ in range(args.runs)]
            speeds.append(_median(runs))
    rows = [
        [
            each.encoder,
            each.codec,
            each.size,
            _digits(each.p50_ms),
            _digits(each.p95_ms),
            _digits(each.fps, 0),
            each.detail,
        ]
        for each in speeds
    ]
    data = [dataclasses.asdict(each) | {"fps": each.fps} for each in speeds]
    context.print(
        data, table(("ENCODER", "CODEC", "SIZE", "P50 MS", "P95 MS", "FPS", ""), rows, "no encoders")
    )
    return 0


def latency(context: Context, args: argparse.Namespace) -> int:
    """From a change on a screen to its encoded frame."""
    from appliance.bench import latency

    found = []
    for size in _SIZES:
        note(f"{size[0]}x{size[1]}")
        found.append(_median([_run(latency.measure(size, args.changes)) for _ in range(args.runs)]))
    rows = [[each.size, _digits(each.p50_ms), _digits(each.p95_ms), _digits(each.fps, 0)] for each in found]
    data = [dataclasses.asdict(each) for each in found]
    context.print(data, table(("SIZE", "DRAWN TO ENCODED P50 MS", "P95 MS", "FPS"), rows, ""))
    return 0


def fan_out(context: Context, args: argparse.Namespace) -> int:
    """The CPU time of one packet to one viewer, beside aiortc's own sender."""
    from appliance.bench import fan_out

    runs: dict[str, list[fan_out.PacketCost]] = {system: [] for system in fan_out.SYSTEMS}
    for _ in range(args.runs):
        for system, costs in runs.items():
            note(f"{system}, {args.viewers} viewers at {args.kbps} kb/s")
            costs.append(_run(fan_out.measure(system, args.viewers, args.kbps, args.seconds)))
    found = {system: _median(costs) for system, costs in runs.items()}
    aiortc = found["aiortc"].us_per_packet
    rows = [
        [system, str(each.viewers), _digits(each.us_per_packet, 2), _digits(each.percent_per_viewer, 3),
         f"{aiortc / each.us_per_packet:.1f}x"]
        for system, each in found.items()
    ]  # fmt: skip
    data = {system: dataclasses.asdict(each) for system, each in found.items()}
    heads = ("SENDER", "VIEWERS", "US A PACKET", "% OF A CORE A VIEWER", "CHEAPER THAN AIORTC")
    context.print(data, table(heads, rows, ""))
    return 0


def _run(measuring: Coroutine[Any, Any, T]) -> T:
    """The result, or the error itself rather than the task groups that it came through."""
    try:
        return asyncio.run(measuring)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _median(runs: Sequence[Any]) -> Any:
    """Of each figure over runs of one dataclass; what is no figure is the same in all of them."""
    first = runs[0]
    figures = {
        field.name: statistics.median(getattr(run, field.name) for run in runs)
        for field in dataclasses.fields(first)
        if isinstance(getattr(first, field.name), float)
    }
    return dataclasses.replace(first, **figures)


def _digits(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
