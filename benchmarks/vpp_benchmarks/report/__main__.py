"""Write the report of an experiment again from its folder: `python -m vpp_benchmarks.report DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

from vpp_benchmarks.report.html import write_report
from vpp_benchmarks.results import store
from vpp_env.errors import VppError


def main(argv: list[str]) -> int:
    """Run the command line and return its exit status."""
    if len(argv) != 1 or argv[0].startswith("-"):
        print("usage: python -m vpp_benchmarks.report DIR", file=sys.stderr)
        return 2
    try:
        write_report(Path(argv[0]))
    except VppError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(Path(argv[0]) / store.HTML)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
