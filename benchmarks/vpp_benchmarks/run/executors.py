"""Where runs are played, behind one map(): in this process, in processes, on a Ray cluster. The results are the same.

A run is a pure function of its `JobSpec`. Executors return `RunResult`s; only the caller writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from vpp_benchmarks.results.run_result import INTERRUPTED, RunResult
from vpp_benchmarks.run.job import JobSpec, Progress, not_run, play
from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import UnknownNameError, did_you_mean

PROCESSES_FROM = 100_000
"""Homes x opportunities, over all runs, from which processes are worth their start (about 3 s each, with imports)."""
MANY_JOBS = 64
"""Runs from which they are worth it, however small each is."""


class Executor(Protocol):
    """Plays runs."""

    def map(self, jobs: Sequence[JobSpec], progress: Progress) -> Iterator[RunResult]:
        """Play every job and yield each as it ends, in any order.

        A run that fails, or whose process dies, is a failed result and stops no other. When `progress` raises
        KeyboardInterrupt, runs under way end with their current opportunity and the others are `not_run`.
        """
        ...


class Serial:
    """One after the other, in this process."""

    def map(self, jobs: Sequence[JobSpec], progress: Progress) -> Iterator[RunResult]:
        """See `Executor`."""
        stopped = False
        for job in jobs:
            result = not_run(job) if stopped else play(job, progress)
            stopped = stopped or result.status == INTERRUPTED
            yield result


def _processes(workers: int, address: str | None) -> Executor:
    from vpp_benchmarks.run.process_pool import Processes, check_kpis  # multiprocessing, where it is used only

    check_kpis()
    return Processes(workers)


def _ray(workers: int, address: str | None) -> Executor:
    from vpp_benchmarks.run.on_ray import OnRay  # an extra

    return OnRay(workers, address)


EXECUTORS: dict[str, Callable[[int, str | None], Executor]] = {
    "serial": lambda workers, address: Serial(),
    "processes": _processes,
    "ray": _ray,
}
"""Executors by name: (runs at the same time, address of a cluster) -> executor. `EXECUTORS["mine"] = ...` adds one."""
AUTO = "auto"


def executor_names() -> list[str]:
    """Names that may be asked for."""
    return [AUTO, *EXECUTORS]


def choose(name: str, jobs: Sequence[JobSpec], workers: int, address: str | None = None) -> Executor:
    """Return the executor of that name.

    Parameters
    ----------
    name : str
        One of `EXECUTORS`, or `auto`: processes where the work is worth their start, else serial.
    jobs : sequence of JobSpec
        What is to be played.
    workers : int
        Runs at the same time.
    address : str, optional
        Of a Ray cluster; None starts one on this machine.

    Raises
    ------
    VppError
        When there is no such executor, or Ray is not installed.
    """
    if name not in executor_names():
        raise UnknownNameError(did_you_mean(name, executor_names(), "executor"))
    if workers < 1:
        raise PlanError(f"--jobs: got {workers}; allowed is 1 or more")
    if address is not None and name != "ray":
        raise PlanError("--address is of a Ray cluster; it needs --executor ray")
    if name == AUTO:
        work = sum(job.scenario.n_opportunities * job.scenario.fleet.size for job in jobs)
        worth = len(jobs) > 1 and workers > 1 and (work >= PROCESSES_FROM or len(jobs) >= MANY_JOBS)
        name = "processes" if worth else "serial"
    return EXECUTORS[name](workers, address)
