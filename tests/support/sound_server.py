"""A real PulseAudio of the test's own."""

import asyncio
import contextlib
import os
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_AGAIN_AND_AGAIN = 'exec "$@" < <(while cat "$0"; do :; done)'


@dataclass
class SoundServer:
    """A PulseAudio with two outputs and a microphone that hums at 1000 Hz."""

    directory: Path
    process: asyncio.subprocess.Process | None = None
    players: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"unix:{self.directory / 'native'}"

    async def start(self) -> None:
        modules = [
            f"module-native-protocol-unix socket={self.directory / 'native'} auth-anonymous=0",
            "module-null-sink sink_name=speakers",
            "module-null-sink sink_name=headphones",
            "module-sine-source source_name=microphone frequency=1000",
        ]
        self.process = await asyncio.create_subprocess_exec(
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
            *(part for module in modules for part in ("-L", module)),
            env=os.environ | {"HOME": str(self.directory), "XDG_RUNTIME_DIR": str(self.directory)},
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(10):
            while await self.run("pactl", "info"):
                await asyncio.sleep(0.05)
        await self.run("pactl", "set-default-sink", "speakers")
        await self.run("pactl", "set-default-source", "microphone")

    async def run(self, *command: str) -> int:
        null = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | {"PULSE_SERVER": self.address}, stdout=null, stderr=null
        )
        return await process.wait()

    async def play(self, frequency: int, sink: str, tone_s: float = 40, pause_s: float = 0) -> None:
        """Play a tone, with pauses or without, until the end of the test."""
        time = np.arange(48000 * 40) / 48000
        samples = 12000 * np.sin(2 * np.pi * frequency * time) * (time % (tone_s + pause_s) < tone_s)
        tone = self.directory / f"{frequency}"
        tone.write_bytes(np.repeat(samples.astype("<i2"), 2).tobytes())
        command = ("pacat", "--raw", "--rate=48000", "--channels=2", "--format=s16le", f"--device={sink}")
        self.players.append(
            await asyncio.create_subprocess_exec(
                "bash", "-c", _AGAIN_AND_AGAIN, str(tone), *command,
                env=os.environ | {"PULSE_SERVER": self.address},
            )
        )  # fmt: skip

    async def stop(self) -> None:
        for process in (*self.players, self.process):
            if process and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()
        self.players.clear()

    async def record(self, source: str, seconds: float) -> "np.typing.NDArray[np.float64]":
        """What `source` gives for so long: one channel at 48 kHz, from -1 to 1."""
        process = await asyncio.create_subprocess_exec(
            "parec", "--raw", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20",
            f"--device={source}", env=os.environ | {"PULSE_SERVER": self.address},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.players.append(process)
        assert process.stdout
        raw = await process.stdout.readexactly(2 * round(48000 * seconds))
        process.terminate()
        return np.frombuffer(raw, "<i2") / 32768

    async def until_source(self, name: str, *, there: bool = True) -> None:
        """Wait until `name` is there, or is gone."""
        async with asyncio.timeout(20):
            while (name in await self.sources()) is not there:
                await asyncio.sleep(0.05)

    async def sources(self) -> list[str]:
        """Names of all sources."""
        process = await asyncio.create_subprocess_exec(
            "pactl", "list", "short", "sources", env=os.environ | {"PULSE_SERVER": self.address},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return [line.split("\t")[1] for line in out.decode().splitlines()]


async def play_once(address: str, frequency: int, seconds: float) -> None:
    """Play a tone, from a program that begins with it and ends after it."""
    time = np.arange(round(48000 * seconds)) / 48000
    tone = np.repeat((12000 * np.sin(2 * np.pi * frequency * time)).astype("<i2"), 2).tobytes()
    process = await asyncio.create_subprocess_exec(
        "pacat", "--raw", "--rate=48000", "--channels=2", "--format=s16le", "--latency-msec=20",
        env=os.environ | {"PULSE_SERVER": address}, stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await process.communicate(tone)


async def sinks(address: str) -> str:
    """Its outputs, and how they are, as pactl lists them."""
    process = await asyncio.create_subprocess_exec(
        "pactl", "list", "short", "sinks", env=os.environ | {"PULSE_SERVER": address},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()


def pitch(samples: "np.typing.NDArray[np.float64]") -> float:
    """The loudest frequency in Hz, 0 where all is silent."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * 48000 / len(samples)) if samples.any() else 0.0


def write_tone(file: Path, frequency: int) -> None:
    """Ten seconds of it, 48 kHz, mono; it goes on without a break where it is repeated."""
    samples = 12000 * np.sin(2 * np.pi * frequency * np.arange(480000) / 48000)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48000)
        out.writeframes(samples.astype("<i2").tobytes())
