"""What lies above the seeds: means, statistics, tables for papers, and the report of the whole experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpp_benchmarks.report import experiment_report, seeds_report
from vpp_benchmarks.report.export import write_exports
from vpp_benchmarks.report.html import write_report
from vpp_benchmarks.results import manifest, store
from vpp_benchmarks.results.statistics import statistics
from vpp_benchmarks.results.summary import plain
from vpp_benchmarks.run.experiment import Experiment

if TYPE_CHECKING:
    from vpp_benchmarks.run.runner import SeedRun


def write_overall(
    experiment: Experiment,
    seeds: Sequence[SeedRun],
    means: Mapping[str, Mapping[str, Any]],
    status: str,
    out: Path | None,
    machine: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Write the files above the seeds, and return the statistics; None for one seed of one case.

    Parameters
    ----------
    experiment : Experiment
        What was run.
    seeds : sequence of SeedRun
        Those that were begun.
    means : mapping
        Case -> means over its seeds; empty with one seed.
    status : str
        Of all runs.
    out : Path or None
        Folder of the experiment; None writes nothing.
    machine : mapping
        `manifest.environment()`.
    """
    labels = [c.label for c in experiment.plans[0].contenders]
    units = {p.case: [s.summary["policies"] for s in seeds if s.case == p.case] for p in experiment.plans}
    several = len(experiment.plans) > 1
    found = plain(statistics(units, labels)) if experiment.units > 1 else None
    if out is None:
        return found
    for plan in experiment.plans if means else ():
        folder = out / plan.case if several else out
        summary = means[plan.case]
        folders = {seed: f"seed_{seed}" for seed in summary["finished_seeds"]}
        store.make_folder(folder)
        store.write_json(folder / store.SUMMARY, summary)
        store.write_text(folder / store.REPORT, seeds_report(summary, None if several else found))
        store.write_json(folder / store.MANIFEST, manifest.plan_manifest(plan, folders, status, machine))
    if found is not None:
        store.write_json(out / store.STATISTICS, found)
    if several:
        cases = {plan.case: plan for plan in experiment.plans}
        store.write_text(out / store.REPORT, experiment_report(found or {}, status, cases))
        store.write_json(out / store.MANIFEST, manifest.experiment_manifest(cases, status, machine))
    write_exports(out, [s.summary | {"case": s.case} for s in seeds], found)
    write_report(out)
    return found
