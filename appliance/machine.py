"""What hw/ found, in the words of the parts that need it."""

from collections.abc import Callable, Sequence

from appliance.bus.spec import EncoderChoice
from appliance.config import Config
from appliance.control import snapshot
from appliance.errors import NoCapacityError
from hw.displays import Display
from hw.encoders import EncoderProbe
from hw.gpus import Gpu
from hw.inventory import Inventory
from hw.ladder import NoEncoderError, Preference, choose


class Machine:
    """A view of the newest inventory."""

    def __init__(self, config: Callable[[], Config], inventory: Callable[[], Inventory]) -> None:
        self._config = config
        self._inventory = inventory

    def displays(self) -> Sequence[Display]:
        """Displays of this machine."""
        return self._inventory().displays

    def gpus(self) -> Sequence[Gpu]:
        """GPUs of this machine."""
        return self._inventory().gpus

    def encoding_gpus(self) -> list[str]:
        """Render nodes of the GPUs that can encode what is configured, best first."""
        try:
            ladder = self._choose("gpu", self._config().video.gpu)
        except NoEncoderError:
            return []
        return list(dict.fromkeys(each.render_node for each in ladder))

    def encoders(self, video: Preference, *, render_node: str | None) -> list[EncoderChoice]:
        """The ladder of encoders on the GPU `render_node` (None: in software), best first.

        Raises NoCapacityError where `gpu` is asked and none is.
        """
        wanted: Preference = "software" if render_node is None and video == "gpu-preferred" else video
        try:
            # Jetson's GPU has no node.
            ladder = self._choose(wanted, render_node or self._config().video.gpu)
        except NoEncoderError as exc:
            raise NoCapacityError(str(exc)) from exc
        full = "all slots of the GPUs are in use" if self.encoding_gpus() else self._inventory().reason
        missed = video == "gpu-preferred" and self._misses_a_gpu()
        return [
            EncoderChoice(
                name=each.name,
                codec=each.codec,
                backend=each.backend,
                hardware=each.hardware,
                render_node=each.render_node,
                reason=full if wanted != video else each.reason,
                fallback=missed and each.name != self._config().video.encoder,
            )
            for each in ladder
        ]

    def _misses_a_gpu(self) -> bool:
        """Whether a GPU is there that should encode what is configured, and none does."""
        video = self._config().video
        if video.codec == "vp8" or self.encoding_gpus():  # most makes have no encoder for VP8
            return False
        wanted = [gpu for gpu in self.gpus() if video.gpu == "auto" or gpu.answers_to(video.gpu)]
        return any(gpu.should_encode for gpu in wanted)

    def _choose(self, video: Preference, gpu: str) -> list[EncoderProbe]:
        section = self._config().video
        return choose(self._inventory(), section.codec, video, section.encoder, gpu)

    def best_encoder(self) -> str:
        """The name of the encoder that a new instance would get; empty where there is none."""
        try:
            return self._choose("gpu-preferred", self._config().video.gpu)[0].name
        except NoEncoderError:
            return ""

    def gpu_names(self) -> str:
        """For the network: the GPUs, comma separated."""
        return ",".join(gpu.name for gpu in self._inventory().gpus)

    def hardware(self) -> snapshot.Hardware:
        """For the control API."""
        inventory = self._inventory()
        return snapshot.Hardware(
            gpus=[
                snapshot.Gpu(
                    name=gpu.name,
                    vendor=gpu.vendor,
                    driver=gpu.driver,
                    pci=gpu.pci,
                    card=gpu.card,
                    render_node=gpu.render_node,
                )
                for gpu in inventory.gpus
            ],
            encoders=[
                snapshot.Encoder(
                    name=each.name,
                    codec=each.codec,
                    hardware=each.hardware,
                    works=each.works,
                    detail=each.detail,
                )
                for each in inventory.encoders
            ],
            displays=[
                snapshot.Display(name=each.name, kind=each.kind, reachable=each.reachable, detail=each.detail)
                for each in inventory.displays
            ],
            reason=inventory.reason,
        )
