"""The files of a seed and of an experiment: their tables, manifests and reports, written from what is in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpp_benchmarks.report.markdown import experiment_report, seed_report, seeds_report
from vpp_benchmarks.report.material import Gathering
from vpp_benchmarks.report.page import report_page
from vpp_benchmarks.report.tables import write_exports
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.results.encode import is_time, to_parquet
from vpp_benchmarks.results.notes import notes
from vpp_benchmarks.results.orders import read_study
from vpp_benchmarks.results.run_result import RunResult, sealed
from vpp_benchmarks.results.summary import SeedResult
from vpp_benchmarks.run.experiment import Experiment
from vpp_benchmarks.run.plan import Plan
from vpp_env.units import KWH_PER_MWH

LONG = ("opportunities", "intervals", "prosumers")
"""Tables that are put together for a seed."""
PER_POLICY = (
    "success",
    "bid_capacity_mw",
    "bid_price_mwh",
    "expected_profit",
    "actual_profit",
    "prosumer_satisfaction",
    "preference_violations",
    "negotiation_rounds",
    "coalition_size",
    "optimization_time",
    "capacity_utilization",
)
"""Columns of each policy, written `<label>_<column>`."""
DIFFERENCES = {
    "profit_difference": "actual_profit",
    "satisfaction_difference": "prosumer_satisfaction",
    "capacity_difference_mw": "bid_capacity_mw",
    "price_difference_mwh": "bid_price_mwh",
}
"""First policy minus second, of a comparison of two."""
TIMING = ("optimization_time",)
"""The only columns that differ between two runs of the same seed."""


def write_seed(
    folder: Path,
    seed: SeedResult,
    runs: Sequence[RunResult],
    wide: pd.DataFrame,
    machine: Mapping[str, Any],
    figures: bool,
    alone: bool,
) -> None:
    """Write the files of one seed.

    Parameters
    ----------
    folder : Path
        Where.
    seed : SeedResult
        What the runs came to.
    runs : sequence of RunResult
        The runs with their tables.
    wide : DataFrame
        `wide_table` of them.
    machine : mapping
        `software.environment()`.
    figures : bool
        Whether to draw `overview.png`.
    alone : bool
        Whether the folder is the experiment's own, which has a log.
    """
    store.make_folder(folder)
    if not alone:
        store.write_text(folder / store.LOG, _seed_log(seed))
    for name, table in long_tables(runs).items():
        store.write_bytes(folder / f"{name}.parquet", to_parquet(table))
    lines = message_lines(runs)
    if lines:
        store.write_text(folder / store.TRANSCRIPTS, "\n".join(lines) + "\n")
    store.write_text(folder / store.RESULTS, to_csv(wide))
    store.write_json(folder / store.MANIFEST, seed_manifest(seed, machine))
    store.write_json(folder / store.SUMMARY, sealed(seed.to_json()))  # its ceilings are read again
    store.write_text(folder / store.REPORT, seed_report(seed))
    # after all figures are safe
    if figures and any("intervals" in run.tables for run in runs):
        from vpp_benchmarks.report.overview import overview  # matplotlib takes longer to import than a small run takes

        store.write_bytes(folder / store.OVERVIEW, overview(seed, runs))
        store.write_text(folder / store.REPORT, seed_report(seed, picture=store.OVERVIEW))


def _seed_log(seed: SeedResult) -> str:
    """Tell again, beside the files of one seed of several, what happened to its runs."""
    lines = [f"{seed.case} ({seed.runs[0].origin.scenario.hash})"]
    for run in seed.runs:
        lines.append(f"{run.label}: {run.status} after {run.played} opportunities. {run.reason}".rstrip())
        lines += [run.traceback] if run.traceback else []
    return "\n".join(lines) + "\n"


def write_experiment(
    out: Path, found: Comparison, experiment: Experiment, gathering: Gathering, machine: Mapping[str, Any]
) -> None:
    """Write what lies above the seeds: means, statistics, tables for papers, and the report of the whole experiment."""
    several = len(experiment.plans) > 1
    for case, means in found.means.items():
        folder = out / case if several else out
        folders = {seed: f"seed_{seed}" for seed in means.finished[case]}
        store.make_folder(folder)
        store.write_json(folder / store.SUMMARY, means.to_json())
        said = notes(
            replace(found.planned, cases={case: found.planned.cases[case]}), [s for s in found.seeds if s.case == case]
        )
        store.write_text(folder / store.REPORT, seeds_report(means, None if several else found.statistics, said))
        store.write_json(folder / store.MANIFEST, plan_manifest(means.plans[0], folders, found.status, machine))
    if found.statistics is not None:
        store.write_json(out / store.STATISTICS, found.statistics.to_json())
    if found.overall is not None:
        store.write_json(out / store.SUMMARY, found.overall.to_json())
        cases = {plan.case: plan for plan in experiment.plans}
        store.write_text(
            out / store.REPORT,
            experiment_report(found.statistics, found.status, cases, notes(found.planned, found.seeds)),
        )
        kinds = {seed.case: dict(seed.price_kinds) for seed in found.seeds}
        store.write_json(out / store.MANIFEST, experiment_manifest(cases, kinds, found.status, machine))
    write_exports(out, found.planned, found.seeds, found.statistics)
    store.write_text(out / store.HTML, report_page(gathering.material(found.seeds, found.statistics, read_study(out))))


# -- tables of a seed -------------------------------------------------------------------------------------------------


def wide_table(runs: Sequence[RunResult]) -> pd.DataFrame:
    """Return one row per opportunity that any policy has played.

    A policy that stopped early (failed, interrupted) has empty cells from there on.
    """
    rows = max((run.played for run in runs), default=0)
    prices = next((run.table("prices") for run in runs if "prices" in run.tables), pd.DataFrame())
    parts = [_shared(prices, rows, len(prices) // runs[0].origin.scenario.planned_timesteps)]
    for run in runs:
        played = run.table("opportunities").reindex(columns=list(PER_POLICY))
        if len(played) < rows:
            played = played.reindex(range(rows))
        parts.append(played.add_prefix(f"{run.label}_").reset_index(drop=True))
    table = pd.concat(parts, axis=1)
    if len(runs) == 2:
        first, second = runs[0].label, runs[1].label
        for name, column in DIFFERENCES.items():
            left, right = (pd.to_numeric(table[f"{label}_{column}"]) for label in (first, second))
            table[name] = left - right
    return table


def _shared(prices: pd.DataFrame, rows: int, steps: int) -> pd.DataFrame:
    """Columns that all policies share: local start with offset, USD/MWh, USD/MW per h.

    They come from the market's prices, so that they are there even if every policy fails; `steps` is the number of
    15-min intervals in an opportunity.
    """

    def mean(column: str) -> NDArray[np.float64]:
        """(rows,) through USD/kWh and back, as the record has it: the same bits."""
        if column not in prices:
            return np.full(rows, np.nan)
        values = prices[column].to_numpy(dtype=np.float64)[: rows * steps] / KWH_PER_MWH
        return values.reshape(rows, steps).mean(axis=1) * KWH_PER_MWH

    stamps = prices["timestamp"].iloc[: rows * steps : steps] if rows else ()
    return pd.DataFrame(
        {
            "timestamp": [stamp.isoformat() for stamp in stamps],
            "lmp_price": mean("rt_usd_per_mwh"),
            "spin_price": mean("spin_usd_per_mw"),
            "nonspin_price": mean("nonspin_usd_per_mw"),
        }
    )


def long_tables(runs: Sequence[RunResult]) -> dict[str, pd.DataFrame]:
    """Return the long tables by name, with a column `policy`; times stand in a table of their own."""
    out: dict[str, pd.DataFrame] = {}
    for name in LONG:
        tables = [(run.label, run.table(name)) for run in runs]
        out[name] = _long([(label, t.drop(columns=[c for c in t.columns if is_time(c)])) for label, t in tables])
    times = []
    for run in runs:
        t = run.table("opportunities")
        times.append((run.label, t[[c for c in t.columns if is_time(c) or c in ("opportunity", "timestamp")]]))
    return out | {"timing": _long(times)}


def _long(parts: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    frames = [frame.assign(policy=label) for label, frame in parts if len(frame)]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"policy": pd.Series(dtype="str")})
    table.insert(0, "policy", table.pop("policy"))
    return table


def message_lines(runs: Sequence[RunResult]) -> list[str]:
    """Return the messages of the policies that negotiate, each a line of JSON, the policy first."""
    return [
        f'{{"policy": {json.dumps(run.label)}, {text[1:]}'
        for run in runs
        if "transcripts" in run.tables
        for text in run.table("transcripts")["message"]
    ]


def to_csv(table: pd.DataFrame) -> str:
    """Write the table: ten significant digits, nothing below 1e-9, empty cells where there is no value."""
    # rounding noise such as -5.6e-17 USD is no figure; + 0.0 turns -0 into 0
    numbers = table.select_dtypes("float").round(9) + 0.0
    return table.assign(**numbers).to_csv(index=False, float_format="%.10g", lineterminator="\n")


# -- manifests --------------------------------------------------------------------------------------------------------


def seed_manifest(seed: SeedResult, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of the folder of one seed; `machine` is `software.environment()`."""
    origin = seed.runs[0].origin
    facts = origin.scenario
    data: dict[str, Any] = {"series": dict(seed.price_source), "kinds": dict(seed.price_kinds)}
    data |= {"files_sha256": dict(origin.prices.files_sha256)}
    return {
        "status": seed.status,
        "scenario": {"name": facts.name, "hash": facts.hash, "toml": facts.toml},
        "seed": seed.seed,
        "data": {**data, "node": origin.prices.node, **_homes(seed)},
        "policies": {
            run.label: run.policy_json()
            | {"status": run.status, "reason": run.reason or None, "wall_seconds": run.seconds}
            for run in seed.runs
        },
        "wall_seconds": seed.seconds,
        **machine,
    }


def _homes(seed: SeedResult) -> dict[str, Any]:
    """Where the homes of a seed are from: of a run whose month could be built, where there is one."""
    return next((run.origin.homes for run in seed.runs if run.origin.homes.series), seed.runs[0].origin.homes).to_json()


def plan_manifest(plan: Plan, folders: Mapping[int, str], status: str, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of a comparison of several seeds: where each seed's folder is."""
    return {
        "status": status,
        **_scenario(plan),
        "seeds": list(plan.seeds),
        "folders": {str(seed): folder for seed, folder in folders.items()},
        "policies": {c.label: c.spec for c in plan.contenders},
        **machine,
    }


def experiment_manifest(
    cases: Mapping[str, Plan], kinds: Mapping[str, Mapping[str, str]], status: str, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """Manifest of several cases: each has a folder of its name; `kinds`: case -> series -> measured or seeded."""
    first = next(iter(cases.values()))
    return {
        "status": status,
        "cases": {
            case: _scenario(plan)["scenario"]
            | {
                "data": {"market_data": plan.market_data, "node": plan.node, "kinds": kinds.get(case, {})}
                | ({} if plan.home_data is None else {"home_data": plan.home_data})
            }
            for case, plan in cases.items()
        },
        "seeds": list(first.seeds),
        "policies": {c.label: c.spec for c in first.contenders},
        **machine,
    }


def _scenario(plan: Plan) -> dict[str, Any]:
    scenario = plan.scenario
    return {"scenario": {"name": scenario.name, "hash": scenario.hash, "toml": scenario.to_toml()}}
