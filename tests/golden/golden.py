"""Golden results: what every policy's runs come to, as hashes, for changes that may change nothing.

    python tests/golden/golden.py            # play all cases and compare with golden.json (25 minutes on two cores)
    python tests/golden/golden.py quick week20 --executors serial
    python tests/golden/golden.py --record   # after a change of the model that is meant; say why in its commit

A hash is of values, not of names: a column may be renamed, a number may not move by a bit. Times are left out. The last
digits of generated traces and of solvers depend on processor and library versions: on another machine record first, at
the commit that is to be compared with, then check. What the test suite compares on any machine are the `figures`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

STORE = Path(__file__).with_name("golden.json")
POLICIES = (
    "idle",
    "random",
    "zero",
    "constant",
    "truthful",
    "stochastic",
    "greedy",
    "auction",
    "dual",
    "mpc",
    "preference_aware",
    "centralized",
    "agentic",
)
REPLAY = "agentic(brain='llm', llm='replay')"
TWO_DAYS = ("--duration-hours", "48")
ONE_DAY = ("--scenario", "week20", "--duration-hours", "24")
SWITCHED = (
    "market.two_settlement=true",
    "market.gate_lead_minutes=75",
    "home.control=self_consumption",
    "market.regulation=true",
    "market.deviation_kappa=0.25",
)
CASES: dict[str, tuple[str, ...]] = {
    "quick": ("--scenario", "quick", "--seeds", "0:2"),
    "week20": ("--scenario", "week20"),
    "switches": (*ONE_DAY, *(part for change in SWITCHED for part in ("--set", change))),
    "residual": (*ONE_DAY, "--set", "market.clearing=residual_supply", "--opportunity-minutes", "15"),
    "logit": (*ONE_DAY, "--set", "market.clearing=logit", "--set", "market.payment=pay_as_bid"),
    **{name: ("--scenario", name, *TWO_DAYS) for name in ("august", "april", "heatwave", "reference")},
}
"""Name -> options of the command line."""
EXECUTORS = ("serial", "processes")
FIGURES = ("total_profit", "joint_surplus", "member_payments", "avg_satisfaction", "sold_mwh", "bought_mwh")
"""KPIs that are kept as numbers too."""


def policies_of(case: str) -> tuple[str, ...]:
    """Policies that play a case: all of them, and where the replay was recorded, the replay."""
    return (*POLICIES, REPLAY) if case == "week20" else POLICIES


def digest_of(values: pd.Series) -> str:
    """Digest of one column: the bytes of its numbers, or its texts."""
    array = values.to_numpy()
    if array.dtype.kind in "biuf":
        content = array.dtype.str.encode() + np.ascontiguousarray(array).tobytes()
    else:
        content = "\x1f".join(map(str, array)).encode()
    return hashlib.sha256(content).hexdigest()


def table_digest(path: Path) -> str:
    """Digest of a table, whatever its columns are called and in whatever order they stand."""
    table = pd.read_parquet(path)
    return hashlib.sha256("".join(sorted(digest_of(table[name]) for name in table)).encode()).hexdigest()[:16]


def numbers(data: Any) -> Iterator[float]:
    """All numbers in plain data but measured times."""
    if isinstance(data, dict):
        for name, item in data.items():
            if not name.endswith(("_time", "seconds")):
                yield from numbers(item)
    elif isinstance(data, list):
        for item in data:
            yield from numbers(item)
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield float(data)


def run_digests(folder: Path) -> dict[str, Any]:
    """Digests of the tables and the summary of one run folder, and its figures."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    tables = sorted(p for p in folder.glob("*.parquet") if p.stem not in ("timing", "transcripts"))
    kpis = ",".join(sorted(repr(x) for x in numbers(summary)))
    return {
        "figures": {name: summary[name] for name in FIGURES},
        "summary": hashlib.sha256(kpis.encode()).hexdigest()[:16],
        **{p.stem: table_digest(p) for p in tables},
    }


def folder_digests(out: Path) -> dict[str, Any]:
    """Digests of every run of a results folder."""
    return {p.name: run_digests(p) for p in sorted((out / "runs").iterdir()) if p.is_dir()}


def play(case: str, executor: str, out: Path, policies: Sequence[str] = ()) -> dict[str, Any]:
    """Play a case into the folder `out` and return its digests."""
    from vpp_benchmarks.cli.compare import main

    options = ["--quiet", "--no-figures", "--no-ceilings", "--executor", executor, "--out", str(out)]
    if main(["--policies", *(policies or policies_of(case)), *CASES[case], *options]) != 0:
        raise SystemExit(f"{case}, {executor}: a run failed; see {out}")
    return folder_digests(out)


def differences(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """What differs, a line each."""
    lines = [f"{run}: only {'expected' if run in expected else 'got'}" for run in sorted({*expected} ^ {*got})]
    for run in sorted({*expected} & {*got}):
        parts = {*expected[run], *got[run]}
        lines += [f"{run}: {part}" for part in sorted(parts) if expected[run].get(part) != got[run].get(part)]
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Check or record; 0 where all is equal, 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--executors", nargs="+", choices=EXECUTORS, default=EXECUTORS)
    parser.add_argument("--record", action="store_true", help="write golden.json from the first executor")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="DIR", help="results played before: DIR/CASE-EXECUTOR"
    )
    args = parser.parse_args(argv)
    unknown = [case for case in args.cases if case not in CASES]
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}; known: {', '.join(CASES)}")
    golden = json.loads(STORE.read_text(encoding="utf-8")) if STORE.is_file() else {}
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        for case in args.cases or CASES:
            for executor in args.executors:
                name = f"{case}-{executor}"
                got = folder_digests(args.source / name) if args.source else play(case, executor, Path(scratch) / name)
                if args.record and executor == args.executors[0]:
                    golden[case] = got
                lines = differences(golden.get(case, {}), got)
                bad += len(lines)
                print(f"{name}: {len(got)} runs, {len(lines)} differences", *lines, sep="\n  ", flush=True)
    if args.record:
        STORE.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
