"""Runs collected into a ranked table per scenario and information set.

Only what is comparable stands in one table: the same scenario hash, the same price data, one information set. Where one
scenario name has several hashes, nothing is ranked until one is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table as RichTable

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.report.tables import markdown, number, score
from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_result import COMPLETE, RUN_SCHEMA
from vpp_benchmarks.run.log import console
from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import did_you_mean

SCHEMA = "vpp_env.leaderboard/1"
RANKABLE = ("total_profit", "joint_surplus", "member_net_benefit", "avg_satisfaction", "score")
"""Figures to rank by; of each, more is better."""
SHOWN = ("total_profit", "joint_surplus", "avg_satisfaction", "worst_decile_satisfaction")


@dataclass(frozen=True)
class Run:
    """What a leaderboard takes from a run folder."""

    scenario: str
    hash: str
    data: str  # digests of the price files and the node; empty for the seeded model
    information: str
    policy: str  # as called
    code: str  # commit, or version of the package
    seed: int
    kpis: Mapping[str, Any]
    where: str


def read_run(folder: Path) -> Run | None:
    """Read a run folder; None where the run is not complete.

    Raises
    ------
    PlanError
        When its schema is not the one that this version reads.
    """
    m = store.read_json(folder / "manifest.json")
    if m.get("schema") != RUN_SCHEMA:
        raise PlanError(f"{folder}: its schema is {m.get('schema')!r}; this version reads {RUN_SCHEMA!r}")
    if m["status"] != COMPLETE:
        return None
    git = m.get("git") or {}
    commit = git.get("commit", "")[:10] + ("+" if git.get("dirty") else "")
    digests = sorted(m["data"]["files_sha256"].values())
    data = " ".join([*(d[:12] for d in digests), *([m["data"]["node"]] if m["data"]["node"] else [])])
    return Run(
        m["scenario"]["name"],
        m["scenario"]["hash"],
        data,
        m["policy"]["information_set"],
        m["policy"]["spec"],
        commit or str(m["packages"]["vpp-env"]),
        m["seed"],
        store.read_json(folder / "summary.json"),
        str(folder),
    )


def collect(roots: Sequence[Path]) -> list[Run]:
    """Return every complete run below some folders.

    Raises
    ------
    PlanError
        When there is none.
    """
    runs = []
    for root in roots:
        if not root.is_dir():
            raise PlanError(f"{str(root)!r} is no folder; give one that holds results")
        # a run folder is told from a folder of a seed by its summary's name
        folders = sorted(f.parent for f in root.rglob("summary.json") if not f.parent.name.startswith("."))
        runs += [run for folder in folders if (run := read_run(folder)) is not None]
    if not runs:
        raise PlanError(f"no complete run in {', '.join(map(str, roots))}; results of compare.py hold them in runs/")
    return runs


def check_unmixed(runs: Sequence[Run]) -> None:
    """Raise `PlanError` where one scenario name stands for several worlds."""
    worlds: dict[str, set[tuple[str, str]]] = {}
    for run in runs:
        worlds.setdefault(run.scenario, set()).add((run.hash, run.data))
    for name, found in worlds.items():
        if len(found) > 1:
            listed = "; ".join(f"{h}{f' on prices {d}' if d else ''}" for h, d in sorted(found))
            raise PlanError(
                f"scenario {name!r} is there with different rules or prices ({listed}); their figures cannot be ranked "
                "together: choose one with --hash, or give fewer folders"
            )


def leaderboard(runs: Sequence[Run], by: str = "total_profit") -> dict[str, Any]:
    """Return the ranked tables as strict JSON data.

    An entry is a policy as called, at one commit; its figures are means over the seeds that all entries of its table
    have in common, so that no entry gains by easier months.

    Parameters
    ----------
    runs : sequence of Run
        Of one world per scenario name.
    by : str
        One of `RANKABLE`.

    Raises
    ------
    PlanError
        When worlds are mixed, or the figure is not there.
    """
    if by not in RANKABLE:
        raise PlanError(did_you_mean(by, RANKABLE, "figure to rank by"))
    check_unmixed(runs)
    groups: dict[tuple[str, str], dict[tuple[str, str], dict[int, Run]]] = {}
    for run in runs:
        group = groups.setdefault((run.scenario, run.information), {})
        group.setdefault((run.policy, run.code), {})[run.seed] = run
    tables = []
    for (scenario, information), entries in sorted(groups.items()):
        first = next(iter(next(iter(entries.values())).values()))
        common = sorted(set.intersection(*(set(seeds) for seeds in entries.values())))
        tables.append(
            {
                "scenario": scenario,
                "hash": first.hash,
                "data": first.data or None,
                "information_set": information,
                "seeds": common,
                "entries": _ranked(entries, common, by) if common else [],
                "left_out": [] if common else [" at ".join(entry) for entry in entries],
            }
        )
    return {"schema": SCHEMA, "by": by, "tables": tables}


def _ranked(
    entries: Mapping[tuple[str, str], Mapping[int, Run]], seeds: Sequence[int], by: str
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for (policy, code), runs in entries.items():
        figures: dict[str, Any] = {}
        for key in dict.fromkeys((by, *SHOWN)):
            values = [runs[seed].kpis.get(key) for seed in seeds]
            known = [v for v in values if v is not None]
            if key == by and len(known) < len(values):
                raise PlanError(f"{policy}: {key} is not in {runs[seeds[0]].where}; rank by another figure (--by)")
            figures[key] = float(np.mean(known)) if known else None
            figures[f"{key}_std"] = float(np.std(known, ddof=1)) if len(known) > 1 else None
        violations = float(np.mean([runs[s].kpis["total_violations"]["total"] for s in seeds]))
        asks = all(runs[s].kpis["asks_consent"] for s in seeds)
        rows.append({"policy": policy, "code": code, "asks": asks, **figures, "violations": violations})
    rows.sort(key=lambda row: (-row[by], row["policy"], row["code"]))
    # who has the same figure has the same rank
    for row in rows:
        row["rank"] = 1 + sum(other[by] > row[by] for other in rows)
    return rows


HEADER = ("rank", "policy", "asks", "code", "profit", "joint surplus", "satisfaction", "worst 10 %", "violations")


def text_rows(table: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of one table as text."""
    return [
        [
            str(e["rank"]),
            e["policy"],
            "yes" if e["asks"] else "no",
            e["code"],
            number(e["total_profit"]) + (f" ± {number(e['total_profit_std'])}" if e["total_profit_std"] else ""),
            number(e["joint_surplus"]),
            score(e["avg_satisfaction"]),
            score(e["worst_decile_satisfaction"]),
            number(e["violations"], 0),
        ]
        for e in table["entries"]
    ]


def title(table: Mapping[str, Any], by: str) -> str:
    """Return what stands above a table."""
    world = f"{table['scenario']} ({table['hash']}{', prices ' + table['data'] if table['data'] else ''})"
    seeds = table["seeds"]
    held = f"{len(seeds)} common seed{'s' if len(seeds) != 1 else ''}" if seeds else "no seed in common: not ranked"
    return f"{world}, sees {table['information_set']}, by {by}, {held}"


def to_markdown(board: Mapping[str, Any]) -> str:
    """Return every table as Markdown."""
    parts = ["# Leaderboard", "Satisfaction of doing nothing is 1: read profit and satisfaction together."]
    for table in board["tables"]:
        parts += [f"## {title(table, board['by'])}", markdown(HEADER, text_rows(table), text_columns=4)]
    return "\n\n".join(parts) + "\n"


EXAMPLES = ("results/", "results/ other/ --by joint_surplus --markdown board.md --json board.json")


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line and return its exit status."""
    p = Parser(prog, "Rank the runs below some folders, per scenario and information set.", EXAMPLES)
    p.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    p.add_argument(
        "--by", default="total_profit", metavar="FIGURE", help=f"{', '.join(RANKABLE)}; default: %(default)s"
    )
    p.add_argument("--hash", metavar="HEX", help="only scenarios whose hash begins so")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    args = p.parse_args(argv)
    runs = [run for run in collect(args.folders) if run.hash.startswith(args.hash or "")]
    if not runs:
        raise PlanError(f"no run has a scenario whose hash begins with {args.hash!r}")
    board = leaderboard(runs, args.by)
    if args.json:
        store.write_json(args.json, board)
    if args.markdown:
        store.write_text(args.markdown, to_markdown(board))
    out = console()
    for table in board["tables"]:
        shown = RichTable(*HEADER, title=title(table, args.by), title_justify="left", box=box.SIMPLE_HEAD)
        for row in text_rows(table):
            shown.add_row(*row)
        out.print(shown)
    return 0
