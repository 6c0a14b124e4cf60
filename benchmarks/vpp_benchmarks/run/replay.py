"""Runs played again: whether what a folder says of one is what its policy earns.

Checksums say that a folder was not damaged. Whoever can write one can write its checksums too, so that figures of
somebody else are believed where they come out again, and not before.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned, read_ceilings
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.auditing import audit_of
from vpp_benchmarks.run.ceilings import QUICK_CEILING, TITLES, ceilings
from vpp_benchmarks.run.experiment import Experiment
from vpp_benchmarks.run.job import JobSpec, job_hash, month_of, play
from vpp_benchmarks.run.plan import Checks, PlanError
from vpp_benchmarks.run.progress import LogProgress
from vpp_benchmarks.run.runner import resumed
from vpp_env.contract.policy import parse_spec
from vpp_env.evaluation.kpi import table
from vpp_env.evaluation.kpi_entry import Ceilings
from vpp_env.evaluation.verdict import Audit, Verdict, verdict_of

log = logging.getLogger(__name__)

SAME = 1e-6
"""Relative difference (and, of what is near 0, difference) up to which a figure has come out again: processors round
differently [assumed]."""
CEILING_SAME = 1e-3
"""The same of a ceiling, where solvers stop a little earlier or later [assumed]."""


def chosen(runs: Sequence[tuple[Path, RunResult]], count: int) -> list[tuple[Path, RunResult]]:
    """Draw `count` complete runs of every entry: policy as called, code, world. Nobody can tell beforehand which."""
    entries: dict[tuple[str, ...], list[tuple[Path, RunResult]]] = {}
    for folder, run in runs:
        if run.complete:
            o = run.origin
            entries.setdefault((o.policy.spec, o.code, o.scenario.hash, o.world), []).append((folder, run))
    draw = random.SystemRandom()
    return [one for entry in entries.values() for one in draw.sample(entry, min(count, len(entry)))]


def refuted(run: RunResult, reason: str) -> RunResult:
    """Return a run whose figures have not come out again as one that is refuted, and not ranked."""
    information = run.info.information
    return replace(run, audit=Audit(Verdict.REFUTED, information, 0, 0, ("figures",), reason=reason))


def difference(folder: Path, run: RunResult, named: Sequence[str] = (), checks: Checks | None = None) -> str:
    """Play a run again and say what is not as its folder says; empty where all is.

    Parameters
    ----------
    folder : Path
        Of the run, inside the folder of its experiment.
    run : RunResult
        What was read from it.
    named : sequence of str
        Policies from outside the registry that may be made, see `experiment.from_data`.
    checks : Checks, optional
        The salt, and the time-out.

    Raises
    ------
    PlanError
        When it lies in no experiment, the experiment cannot be planned again, or its policy asks a language model.
    """
    options = parse_spec(run.origin.policy.spec)[1]
    if options.get("brain") == "llm" and options.get("llm") != "replay":
        raise PlanError(f"{folder}: it asks a language model, whose answers are not the same twice")
    out = folder.parent.parent
    if folder.parent.name != store.RUNS:
        raise PlanError(f"{folder} lies in no experiment's {store.RUNS}/; give the folder of the comparison as written")
    experiment = _planned_again(out, named, checks)
    job = next((job for job in experiment.jobs() if job.name == folder.name), None)
    if job is None or job_hash(job) != run.origin.digest:
        return "its manifest is of another run than its experiment plans, or of other files than are here"
    return next(_differences(out, job, run, play(job, LogProgress())), "")


def _planned_again(out: Path, named: Sequence[str], checks: Checks | None) -> Experiment:
    """Return the experiment of a folder; of what the user names, that which it holds."""
    policies = store.read_json(out / store.EXPERIMENT).get("policies")
    specs = [p.get("spec") for p in policies if isinstance(p, dict)] if isinstance(policies, list) else []
    return resumed(out, [spec for spec in named if spec in specs], checks)


def _differences(out: Path, job: JobSpec, run: RunResult, again: RunResult) -> Iterator[str]:
    """Yield what differs between a run as it was read and as it has just been played."""
    if not again.complete:
        yield f"played again it is {again.status}: {again.reason}"
        return
    for what in ("scenario", "world", "case", "seed"):
        if getattr(run.origin, what) != getattr(again.origin, what):
            yield f"its {what} is another one than the experiment's"
    if (run.origin.policy.spec, run.origin.policy.files) != (again.origin.policy.spec, again.origin.policy.files):
        yield "its policy is another one than the experiment's"
    if (run.info.information, run.info.consent) != (again.info.information, again.info.consent):
        yield "it declares something else"
    for kpi in table():
        said, found = run.number(kpi.name), again.number(kpi.name)
        if kpi.comes_out_again and not _same(said, found, SAME):
            yield f"{kpi.name} is {found} when it is played again; the folder says {said}"
    written = read_ceilings(Planned.read(out).folder(out, (job.case, job.seed)))
    if written is not None:
        made = Ceilings.from_json(ceilings(month_of(job), QUICK_CEILING))
        for name in ("idle", *TITLES):
            said, found = _upper(getattr(written, name)), _upper(getattr(made, name))
            if not _same(said, found, CEILING_SAME):
                yield f"the ceiling {name} is {found} when it is worked out again; the folder says {said}"
    if run.audit is not None:
        of = replace(job, seed=job.seed if job.audit_seed is None else job.audit_seed)
        audit = again.audit or audit_of(of, month_of(of))
        if verdict_of([audit]) is not verdict_of([run.audit]):
            yield f"an audit finds it {verdict_of([audit]).value}; the folder says {run.verdict}"


def _upper(ceiling: float | tuple[float, float] | None) -> float | None:
    return ceiling[1] if isinstance(ceiling, tuple) else ceiling


def _same(said: float | None, found: float | None, tolerance: float) -> bool:
    if said is None or found is None:
        return said is found
    return math.isclose(said, found, rel_tol=tolerance, abs_tol=tolerance)
