"""What hw/ found, in the words of the parts that need it."""

from collections.abc import Callable, Sequence

from appliance.bus.spec import EncoderChoice
from appliance.config import Config
from appliance.control.schema import Display, Encoder, Gpu, Hardware
from appliance.errors import NoCapacityError
from hw.displays import Display as FoundDisplay
from hw.inventory import Inventory
from hw.ladder import NoEncoderError, Preference, choose


class Machine:
    """A view of the newest inventory."""

    def __init__(self, config: Callable[[], Config], inventory: Callable[[], Inventory]) -> None:
        self._config = config
        self._inventory = inventory

    def displays(self) -> Sequence[FoundDisplay]:
        """Displays of this machine."""
        return self._inventory().displays

    def encoders(self, video: Preference, *, hardware: bool) -> list[EncoderChoice]:
        """The ladder of encoders, best first. Raises NoCapacityError where `gpu` is asked and none is."""
        section = self._config().video
        wanted: Preference = video if hardware or video == "gpu" else "software"
        try:
            ladder = choose(self._inventory(), section.codec, wanted, section.encoder, section.gpu)
        except NoEncoderError as exc:
            raise NoCapacityError(str(exc)) from exc
        return [
            EncoderChoice(
                name=each.name,
                codec=each.codec,
                backend=each.backend,
                hardware=each.hardware,
                render_node=each.render_node,
                reason=self._inventory().reason if wanted != video else each.reason,
            )
            for each in ladder
        ]

    def best_encoder(self) -> str:
        """The name of the encoder that a new instance would get; empty where there is none."""
        try:
            return self.encoders("gpu-preferred", hardware=True)[0].name
        except NoCapacityError:
            return ""

    def gpu_names(self) -> str:
        """For the network: the GPUs, comma separated."""
        return ",".join(gpu.name for gpu in self._inventory().gpus)

    def hardware(self) -> Hardware:
        """For the control API."""
        inventory = self._inventory()
        return Hardware(
            gpus=[
                Gpu(
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
                Encoder(
                    name=each.name,
                    codec=each.codec,
                    hardware=each.hardware,
                    works=each.works,
                    detail=each.detail,
                )
                for each in inventory.encoders
            ],
            displays=[
                Display(name=each.name, kind=each.kind, reachable=each.reachable, detail=each.detail)
                for each in inventory.displays
            ],
            reason=inventory.reason,
        )
