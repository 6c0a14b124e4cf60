"""What a month is made of: parameters of a scenario, and how near its series are to measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.cli.common import Parser, command
from vpp_env.scenario import load_scenario, scenario_names
from vpp_env.scenario.scenario import describe


@command
def scenario(argv: Sequence[str] | None, prog: str) -> int:
    """Print every parameter of a scenario, or its TOML file."""
    examples = ("august", "week20 --toml > mine.toml")
    p = Parser(prog, "Print every parameter of a scenario with its value, unit and source.", examples)
    names = ", ".join(scenario_names())
    p.add_argument("name", nargs="?", default="august", metavar="NAME|FILE.toml", help=f"{names}; default: %(default)s")
    p.add_argument("--toml", action="store_true", help="print it as a TOML file, to be changed and given to compare")
    args = p.parse_args(argv)
    chosen = load_scenario(args.name)
    if args.toml:
        print(chosen.to_toml(), end="")
        return 0
    print(f"# {chosen.name}: {chosen.description} (hash {chosen.hash})\n")
    print("| field | value | unit | allowed | source |\n|---|---|---|---|---|")
    for row in describe(chosen):
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return 0


@command
def traces(argv: Sequence[str] | None, prog: str) -> int:
    """Print statistics of the generated series beside measured ones."""
    text = (
        "Print statistics of the generated series beside the measured ones (embedded; with --data, worked out again)."
    )
    p = Parser(prog, text, ("--seeds 5", "--data measured/"))
    p.add_argument("--data", type=Path, metavar="DIR", help="folder with the measured files")
    p.add_argument("--seeds", type=int, default=20, metavar="N", help="seeds that are averaged; default: %(default)s")
    args = p.parse_args(argv)
    if args.seeds < 1:
        p.error(f"--seeds: got {args.seeds}; allowed is 1 or more")
    from vpp_env.traces.validation import validation_rows  # slow to import
    from vpp_env.traces.validation.cars import hourly_table
    from vpp_env.traces.validation.rows import markdown

    rows = validation_rows(args.seeds, args.data)
    print(f"Means over {args.seeds} seeds; deviation = (synthetic - real) / |real|.\n")
    print(markdown(rows))
    print(
        f"\nCars by local hour: share plugged in at the full hour, and share of plug-ins.\n\n{hourly_table(args.seeds)}"
    )
    return 0
