"""Ceilings, worked out beside the runs that they are for, and read back where a seed's summary has them already."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from vpp_benchmarks.cli.bounds import ceilings
from vpp_benchmarks.results.comparison import Unit, read_ceilings
from vpp_benchmarks.run.job import JobSpec, month_of
from vpp_env.evaluation.kpi_entry import Ceilings

log = logging.getLogger(__name__)


def _of(job: JobSpec) -> Ceilings:
    return Ceilings.from_json(ceilings(month_of(job)))


class CeilingsOfUnits:
    """Ceilings of the units of an experiment.

    Parameters
    ----------
    folders : mapping
        Unit -> the folder of its summary; None where nothing is written.
    """

    def __init__(self, folders: Mapping[Unit, Path | None]) -> None:
        self._folders = folders
        self._begun: dict[Unit, Future[Ceilings]] = {}

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

    def get(self, unit: Unit, job: JobSpec) -> Ceilings:
        """Return the ceilings of a unit: those of its summary, those that were begun, or new ones."""
        folder = self._folders[unit]
        written = None if folder is None else read_ceilings(folder)
        if written is not None:
            return written
        return self._begun[unit].result() if unit in self._begun else _of(job)
