"""Ceilings, worked out beside the runs that they are for, and read back where a seed's summary has them already."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from vpp_benchmarks.cli.bounds import ceilings
from vpp_benchmarks.results import store
from vpp_benchmarks.run.job import JobSpec
from vpp_env.simulation.month import Month

log = logging.getLogger(__name__)

Unit = tuple[str, int]
"""Case and seed."""


def _of(job: JobSpec) -> dict[str, Any]:
    return ceilings(Month(job.scenario, job.seed, job.market_data, job.node))


class Ceilings:
    """Ceilings of the units of an experiment.

    Parameters
    ----------
    folders : mapping
        Unit -> the folder of its summary; None where nothing is written.
    """

    def __init__(self, folders: Mapping[Unit, Path | None]) -> None:
        self._folders = folders
        self._begun: dict[Unit, Future[dict[str, Any]]] = {}

    def begin(self, jobs: Sequence[tuple[Unit, JobSpec]]) -> None:
        """Begin to work them out in a thread, in this order: for executors that play elsewhere than here."""
        self._begun = {unit: Future() for unit, _ in jobs}
        waiting = [(self._begun[unit], job) for unit, job in jobs]

        def work() -> None:
            for future, job in waiting:
                try:
                    future.set_result(_of(job))
                except Exception as error:
                    log.exception("ceilings of %s failed", job.name)
                    future.set_exception(error)

        # a daemon: an interrupted comparison does not wait for it
        threading.Thread(target=work, daemon=True, name="ceilings").start()

    def get(self, unit: Unit, job: JobSpec) -> dict[str, Any]:
        """Return the ceilings of a unit: those of its summary, those that were begun, or new ones."""
        folder = self._folders[unit]
        if folder is not None and (folder / store.SUMMARY).is_file():
            kept = store.read_json(folder / store.SUMMARY).get("ceilings")
            if kept is not None:
                return kept
        return self._begun[unit].result() if unit in self._begun else _of(job)
