"""Where runs are played, behind one map(): in this process, in processes, on a Ray cluster. The results are the same.

A run is a pure function of its `JobSpec`. Executors return files as bytes; only the caller writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vpp_benchmarks.results.run_folder import RunFiles, files_of
from vpp_benchmarks.run.job import INTERRUPTED, NOT_RUN, STOPPED_BEFORE, JobEnd, JobSpec, Progress, play
from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import UnknownNameError, did_you_mean

EXECUTORS = ("auto", "serial", "processes", "ray")
TOGETHER_FROM = 100_000
"""Homes x opportunities, over all runs, from which processes are worth their start (about 3 s each, with imports)."""
MANY_JOBS = 64
"""Runs from which they are worth it, however small each is."""


@dataclass(frozen=True)
class Done:
    """A run that is over; `files` is empty where it was not begun."""

    end: JobEnd
    files: RunFiles = field(default_factory=dict, repr=False)


class Executor(Protocol):
    """Plays runs."""

    def map(self, jobs: Sequence[JobSpec], progress: Progress) -> Iterator[Done]:
        """Play every job and yield each as it ends, in any order.

        A run that fails, or whose process dies, is a failed `Done` and stops no other. When `progress` raises
        KeyboardInterrupt, runs under way end with their current opportunity and the others are `not_run`.
        """
        ...


def play_job(job: JobSpec, progress: Progress) -> Done:
    """Play one run and return its files: the function that every executor maps."""
    result = play(job, progress)
    return Done(result.end, files_of(result))


def not_run(job: JobSpec) -> Done:
    """Return a run that was not begun."""
    return Done(JobEnd(job, NOT_RUN, STOPPED_BEFORE))


class Serial:
    """One after the other, in this process."""

    def map(self, jobs: Sequence[JobSpec], progress: Progress) -> Iterator[Done]:
        """See `Executor`."""
        stopped = False
        for job in jobs:
            done = not_run(job) if stopped else play_job(job, progress)
            stopped = stopped or done.end.status == INTERRUPTED
            yield done


def choose(name: str, jobs: Sequence[JobSpec], workers: int, address: str | None = None) -> Executor:
    """Return the executor of that name.

    Parameters
    ----------
    name : str
        One of `EXECUTORS`; `auto` is processes where the work is worth their start, else serial.
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
    if name not in EXECUTORS:
        raise UnknownNameError(did_you_mean(name, EXECUTORS, "executor"))
    if workers < 1:
        raise PlanError(f"--jobs: got {workers}; allowed is 1 or more")
    if address is not None and name != "ray":
        raise PlanError("--address is of a Ray cluster; it needs --executor ray")
    if name == "ray":
        from vpp_benchmarks.run.on_ray import OnRay  # an extra

        return OnRay(workers, address)
    work = sum(job.scenario.n_opportunities * job.scenario.fleet.size for job in jobs)
    worth = len(jobs) > 1 and workers > 1 and (work >= TOGETHER_FROM or len(jobs) >= MANY_JOBS)
    if name == "processes" or (name == "auto" and worth):
        from vpp_benchmarks.run.process_pool import Processes

        return Processes(workers)
    return Serial()
