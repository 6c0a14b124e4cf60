"""The validation table: statistics of the seeded series beside the measured ones, as `vpp-env traces` prints it."""

from __future__ import annotations

from pathlib import Path

from vpp_env.traces.validation.homes import home_rows
from vpp_env.traces.validation.prices import price_rows
from vpp_env.traces.validation.rows import Row


def validation_rows(seeds: int, data: Path | None = None) -> list[Row]:
    """Rows of all series: synthetic means over `seeds` seeds against measured values, embedded or from folder `data`.

    Raises
    ------
    DataError
        When a file is missing in `data`.
    """
    return [*price_rows(seeds, data), *home_rows(seeds, data)]
