"""The encoder ladder: which encoders to try, best first, each with the reason for its place."""

from dataclasses import replace
from typing import Literal

from hw.encoders import EncoderProbe
from hw.gpus import Gpu
from hw.inventory import Inventory, why_no_hardware

Preference = Literal["gpu", "gpu-preferred", "software"]


class NoEncoderError(LookupError):
    """No encoder meets what was asked for; the text says why."""


def choose(
    inventory: Inventory,
    codec: str = "auto",
    preference: Preference = "gpu-preferred",
    encoder: str = "auto",
    gpu: str = "auto",
) -> list[EncoderProbe]:
    """Working encoders for `codec` (`auto`, `h264`, `vp8`), best first, with `reason` filled in.

    `gpu` names the one that captures (slot, node, vendor or name): another one's encoder is never chosen,
    since frames would travel between GPUs. Raises NoEncoderError where nothing is left, as
    `preference="gpu"` does on a machine without a working hardware encoder.
    """
    fitting = [probe for probe in inventory.encoders if codec.lower() in ("auto", probe.codec.lower())]
    on_gpu = [probe for probe in fitting if probe.hardware and _is_on(inventory, probe, gpu)]
    missing = _missing(inventory, on_gpu, gpu)
    hardware = [_because(probe, _place(inventory, probe)) for probe in on_gpu if probe.works]
    why = (
        "software encoding is what was asked for" if preference == "software" else missing or "the next best"
    )
    software = [_because(probe, why) for probe in fitting if not probe.hardware and probe.works]
    ladder = {"gpu": hardware, "gpu-preferred": hardware + software, "software": software}[preference]
    if not ladder:
        raise NoEncoderError(
            missing if preference == "gpu" and missing else f"no encoder for {codec} works here"
        )
    ladder.sort(key=lambda probe: (not probe.hardware, probe.codec != "H264"))
    return ladder if encoder == "auto" else _named_first(ladder, fitting, encoder)


def _named_first(ladder: list[EncoderProbe], known: list[EncoderProbe], name: str) -> list[EncoderProbe]:
    """Put `name` first; where it is not in the ladder, every step says so: a fallback is never silent."""
    named = [_because(probe, "asked for by name") for probe in ladder if probe.name == name]
    others = [probe for probe in ladder if probe.name != name]
    if named:
        return named + others
    broken = next((probe for probe in known if probe.name == name and not probe.works), None)
    have = ", ".join(dict.fromkeys(probe.name for probe in ladder))
    why = f"{name} was asked for: {broken.detail if broken else f'not available here, only {have}'}"
    return [_because(probe, why) for probe in others]


def _missing(inventory: Inventory, on_gpu: list[EncoderProbe], gpu: str) -> str:
    """Why no hardware encoder can be used, empty where one can."""
    if any(probe.works for probe in on_gpu):
        return ""
    if gpu != "auto" and not any(each.answers_to(gpu) for each in inventory.gpus):
        have = ", ".join(each.name for each in inventory.gpus) or "none"
        return f"no GPU {gpu!r} on this machine (have: {have})"
    gpus = [each for each in inventory.gpus if gpu == "auto" or each.answers_to(gpu)]
    return why_no_hardware(gpus, on_gpu)


def _is_on(inventory: Inventory, probe: EncoderProbe, gpu: str) -> bool:
    if gpu == "auto":
        return True
    return any(each.answers_to(gpu) and _carries(each, probe) for each in inventory.gpus)


def _carries(gpu: Gpu, probe: EncoderProbe) -> bool:
    return gpu.render_node == probe.render_node


def _place(inventory: Inventory, probe: EncoderProbe) -> str:
    """Where a hardware encoder runs, for people."""
    gpu = next((each for each in inventory.gpus if _carries(each, probe)), None)
    return f"hardware encoder of {gpu.name}" if gpu else "hardware encoder"


def _because(probe: EncoderProbe, reason: str) -> EncoderProbe:
    return replace(probe, reason=reason)
