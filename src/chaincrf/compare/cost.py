"""What a run costs: peak memory of its process and energy, from the system's own counters or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["EnergyMeter", "peak_memory"]

_POWERCAP = Path("/sys/class/powercap")


def peak_memory() -> int | None:
    """The largest resident size of this process so far, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024


class EnergyMeter:
    """Joules since it was made, from hardware counters: RAPL of the processor packages, NVML of a GPU.

    Args:
        device: the device that computes; a GPU's counter is read for "cuda" alone.
        powercap: where the kernel shows the counters of RAPL.
    """

    def __init__(self, device: str = "cpu", powercap: Path = _POWERCAP) -> None:
        self._counters = [*_rapl(powercap)]
        if device == "cuda" and (gpu := _nvml()) is not None:
            self._counters.append(gpu)
        self._start = [read() for read, _ in self._counters]

    def joules(self) -> float | None:
        """The energy of the whole package or card, of other processes too; None: no counter can be read."""
        if not self._counters:
            return None
        total = 0.0
        for (read, wraps), start in zip(self._counters, self._start, strict=True):
            used = read() - start
            total += used if used >= 0 else used + wraps
        return total


def _rapl(powercap: Path) -> Iterator[tuple[Callable[[], float], float]]:
    for zone in sorted(powercap.glob("intel-rapl:*")):
        counter = zone / "energy_uj"
        try:
            # a package holds its parts (cores, memory): only zones of the first level are added up
            if zone.name.count(":") == 1 and int(counter.read_text()) >= 0:
                wraps = int((zone / "max_energy_range_uj").read_text()) / 1e6
                yield (lambda counter=counter: int(counter.read_text()) / 1e6), wraps
        except (OSError, ValueError):
            continue  # no such counter, or for the administrator alone


def _nvml() -> tuple[Callable[[], float], float] | None:
    try:
        import pynvml  # pyright: ignore[reportMissingImports]

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # the library, the driver or the counter is not there; nothing depends on it
        return None
    return (lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000), 0.0
