"""Energy and carbon of a training as a model card states them: measured, estimated, or neither.

An estimate is CPU seconds times the watts of a busy core, and carbon is kilowatt hours times the
grams that the local grid emits for one (Strubell et al. 2019, equation 1, without graphics cards
and with a PUE of 1). Both factors are the user's: none is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline_steps.types import Value

_JOULES_A_KWH = 3.6e6


class Energy(Value):
    """What is known of the energy of a training.

    ``joules``: measured, of the whole processors. ``watts_per_core`` and ``grams_per_kwh``: what
    the user said of the machine and its grid.
    """

    joules: float | None = None
    cpu_seconds: float
    watts_per_core: float | None = None
    grams_per_kwh: float | None = None

    @property
    def kwh(self) -> float | None:
        """Kilowatt hours, measured where they were, else estimated where they can be."""
        if self.joules is not None:
            return self.joules / _JOULES_A_KWH
        if self.watts_per_core is None:
            return None
        return self.cpu_seconds * self.watts_per_core / _JOULES_A_KWH


def energy_lines(energy: Energy) -> Iterator[str]:
    """Yield a line on energy and one on carbon, each with where its number comes from."""
    kwh = energy.kwh
    if kwh is None:
        yield (
            "Energy: not measured (this machine shows no counter, /sys/class/powercap), and not "
            "estimated (`HOLDFAST_WATTS_PER_CORE` is not set)."
        )
        yield "Carbon: not known, for want of the energy."
        return
    yield f"Energy: {kwh:.3g} kWh, {_origin(energy)}. Graphics cards are not in it."
    if energy.grams_per_kwh is None:
        yield "Carbon: not estimated (`HOLDFAST_GRAMS_CO2_PER_KWH` is not set)."
        return
    yield (
        f"Carbon: {kwh * energy.grams_per_kwh:.3g} g CO2e, estimated: {kwh:.3g} kWh x "
        f"{energy.grams_per_kwh:g} g/kWh (`HOLDFAST_GRAMS_CO2_PER_KWH`)."
    )


def _origin(energy: Energy) -> str:
    if energy.joules is not None:
        return "measured (RAPL: the whole processors, whatever else ran on them)"
    return (
        f"estimated, not measured: {energy.cpu_seconds:g} CPU seconds x "
        f"{energy.watts_per_core:g} W a core (`HOLDFAST_WATTS_PER_CORE`) / 3.6e6"
    )
