"""One line of the validation table: a statistic of the synthetic series beside the real one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A statistic, made and measured.

    Parameters
    ----------
    series : str
        What the statistic is of, for example "prices, August".
    statistic : str
        Its name, for example "day-ahead mean".
    unit : str
        Unit of both values.
    synthetic : float
        Value of the seeded series, mean over seeds.
    real : float
        Value of the measured series.
    source : str
        Where the measured value is from.
    """

    series: str
    statistic: str
    unit: str
    synthetic: float
    real: float
    source: str

    @property
    def deviation(self) -> float | None:
        """Relative deviation (synthetic - real) / abs(real); None where the real value is 0."""
        return None if self.real == 0.0 else (self.synthetic - self.real) / abs(self.real)


def markdown(rows: Iterable[Row]) -> str:
    """Render rows as a markdown table, one line per statistic."""
    lines = [
        "| series | statistic | unit | synthetic | real | deviation | source of the real value |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for row in rows:
        off = "" if row.deviation is None else f"{row.deviation:+.0%}"
        cells = (
            row.series,
            row.statistic,
            row.unit,
            f"{row.synthetic:.4g}",
            f"{row.real:.4g}",
            off,
            row.source,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
