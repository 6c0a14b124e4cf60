"""The files of a seed and of an experiment, each written from what is in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vpp_benchmarks.report.markdown import experiment_report, seed_report, seeds_report
from vpp_benchmarks.report.material import Gathering
from vpp_benchmarks.report.page import report_page
from vpp_benchmarks.report.tables import write_exports
from vpp_benchmarks.results import manifest, store
from vpp_benchmarks.results.comparison import Comparison
from vpp_benchmarks.results.run_result import RunResult, to_parquet
from vpp_benchmarks.results.seed_tables import long_tables, message_lines, to_csv
from vpp_benchmarks.results.summary import SeedResult
from vpp_benchmarks.run.experiment import Experiment


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
        `seed_tables.wide_table` of them.
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
    store.write_json(folder / store.SUMMARY, seed.to_json())
    store.write_text(folder / store.REPORT, seed_report(seed))
    store.write_json(folder / store.MANIFEST, manifest.seed_manifest(seed, machine))
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
        folders = {seed: f"seed_{seed}" for seed in means.finished_seeds}
        store.make_folder(folder)
        store.write_json(folder / store.SUMMARY, means.to_json())
        store.write_text(folder / store.REPORT, seeds_report(means, None if several else found.statistics))
        store.write_json(folder / store.MANIFEST, manifest.plan_manifest(means.plan, folders, found.status, machine))
    if found.statistics is not None:
        store.write_json(out / store.STATISTICS, found.statistics.to_json())
    if several:
        cases = {plan.case: plan for plan in experiment.plans}
        store.write_text(out / store.REPORT, experiment_report(found.statistics, found.status, cases))
        store.write_json(out / store.MANIFEST, manifest.experiment_manifest(cases, found.status, machine))
    write_exports(out, found.seeds, found.statistics)
    store.write_text(out / store.HTML, report_page(gathering.material(found.seeds, found.statistics)))
