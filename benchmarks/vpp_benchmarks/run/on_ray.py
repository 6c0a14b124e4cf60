"""Runs on a Ray cluster, on this machine or elsewhere; needs `pip install "vpp-env[ray]"`."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vpp_benchmarks.results.run_result import FAILED, INTERRUPTED, RunResult
from vpp_benchmarks.run.job import JobSpec, Progress, not_run, play, stopped
from vpp_benchmarks.run.plan import PlanError
from vpp_env.errors import needs
from vpp_env.evaluation.kpi import REGISTERED
from vpp_env.evaluation.kpi_entry import Kpi

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2


class _Silent:
    """Progress of a run that nobody watches by the opportunity: it may be on another machine."""

    def begin(self, job: JobSpec, total: int) -> None:
        """Say nothing."""

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Say nothing."""

    def end(self, result: RunResult) -> None:
        """Say nothing."""


def _remote(job: JobSpec, kpis: Mapping[str, Kpi]) -> RunResult:
    REGISTERED.update(kpis)
    return play(job, _Silent())


class OnRay:
    """Up to `workers` runs at the same time on a Ray cluster.

    Parameters
    ----------
    workers : int
        Runs at the same time; the CPUs of a cluster that is started here.
    address : str, optional
        Of a cluster that runs already (`auto`, `ray://host:10001`); its machines need this package and see no files of
        this one: market data must lie at the same path there.

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    """

    def __init__(self, workers: int, address: str | None = None) -> None:
        with needs("--executor ray", "ray"):
            import ray
        self._ray, self._workers, self._address = ray, workers, address

    def map(self, jobs: Sequence[JobSpec], progress: Progress) -> Iterator[RunResult]:
        """See `Executor`; runs are shown as a whole, not by the opportunity."""
        ray = self._ray
        begun_here = not ray.is_initialized()
        if begun_here:
            # log records of a run are in its manifest; usage statistics would go over the network
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            if self._address is None:
                # policies of the working directory are importable there too
                path = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
                # "local": what a cluster that died has left on this machine is no cluster to connect to
                options |= {"address": "local", "num_cpus": self._workers, "include_dashboard": False}
                options |= {"runtime_env": {"env_vars": path}}
            else:
                options |= {"address": self._address}
            try:
                ray.init(**options)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise PlanError(f"no Ray cluster at {self._address or 'this machine'}: {error}") from error
        try:
            yield from self._map(deque(jobs), progress)
        finally:
            if begun_here:
                ray.shutdown()

    def _map(self, waiting: deque[JobSpec], progress: Progress) -> Iterator[RunResult]:
        ray = self._ray
        remote = ray.remote(max_retries=0, num_cpus=1)(_remote)
        running: dict[Any, JobSpec] = {}
        stopping = False
        while waiting or running:
            if stopping:
                yield from (not_run(job) for job in waiting)
                waiting.clear()
            try:
                while waiting and len(running) < self._workers and not stopping:
                    job = waiting.popleft()
                    # the reference is kept before anybody may interrupt
                    running[remote.remote(job, dict(REGISTERED))] = job
                    progress.begin(job, job.scenario.n_opportunities)
                ready, _ = ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS) if running else ([], [])
            except KeyboardInterrupt:
                stopping = True
                for reference in running:
                    ray.cancel(reference, force=False)
                continue
            for reference in ready:
                job = running.pop(reference)
                result = self._get(reference, job)
                progress.end(result)
                yield result

    def _get(self, reference: Any, job: JobSpec) -> RunResult:
        """Return what came back, also when nothing did."""
        errors = self._ray.exceptions
        try:
            result: RunResult = self._ray.get(reference)
        except errors.TaskCancelledError:
            return stopped(job, INTERRUPTED, "stopped by Ctrl-C")
        except errors.RayError as error:
            log.error("%s: %s", job.name, error)
            return stopped(job, FAILED, f"its Ray worker ended: {type(error).__name__} (killed, or out of memory)")
        return result
