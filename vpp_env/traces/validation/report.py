"""Print the validation table: statistics of the seeded series beside the measured ones.

`python -m vpp_env.traces.validation.report [--data PATH] [--seeds N]`. The measured values are embedded, so the table
needs no data; with `--data` they are computed again from the files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from vpp_env.errors import DataError
from vpp_env.traces.validation.prices import price_rows
from vpp_env.traces.validation.rows import Row, markdown

RowsOf = Callable[[int, Path | None], list[Row]]
HOMES = "vpp_env.traces.validation.homes"
"""Module whose `home_rows(seeds, data)` adds the rows of the homes' series."""


def sources() -> list[RowsOf]:
    """Return the functions that make rows, in the order of the table."""
    found: list[RowsOf] = [price_rows]
    if find_spec(HOMES) is not None:
        found.append(import_module(HOMES).home_rows)
    return found


def validation_rows(seeds: int, data: Path | None = None) -> list[Row]:
    """Rows of all series: synthetic means over `seeds` seeds against measured values (from `data` if given)."""
    return [row for rows_of in sources() for row in rows_of(seeds, data)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m vpp_env.traces.validation.report", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the measured files; default: embedded values")
    parser.add_argument("--seeds", type=int, default=20, help="seeds that are averaged (default 20)")
    args = parser.parse_args(argv)
    if args.seeds < 1:
        parser.error(f"--seeds: got {args.seeds}; allowed is 1 or more")
    try:
        rows = validation_rows(args.seeds, args.data)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Means over {args.seeds} seeds; deviation = (synthetic - real) / |real|.\n")
    print(markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
