"""Experiment loggers behind one small protocol: TensorBoard and MLflow (extras), by `--log tensorboard mlflow`.

A logger is a `Progress` listener that is opened for an experiment and closed behind it. A run is one run there too:
running sums by the opportunity, final KPIs at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.experiment import Experiment
from vpp_benchmarks.run.job import JobSpec, Progress
from vpp_benchmarks.run.progress import RunningSums
from vpp_env.errors import needs

EVERY = 24
"""Opportunities between two points of a curve: a day of hours."""


class RunLogger(Progress, Protocol):
    """A listener that holds something open."""

    def close(self) -> None:
        """Write what is left and let go."""
        ...


class TensorBoardLogger:
    """One event file per run under `DIR/tensorboard`; look at them with `tensorboard --logdir DIR/tensorboard`."""

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        with needs("--log tensorboard", "tensorboard"):
            from tensorboardX import SummaryWriter
        self._make, self._folder = SummaryWriter, folder / "tensorboard"
        self._runs: dict[str, tuple[RunningSums, Any]] = {}

    def begin(self, job: JobSpec, total: int) -> None:
        """Open the run's file."""
        self._runs[job.name] = (RunningSums(), self._make(str(self._folder / job.name)))

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Add a point a day."""
        sums, writer = self._runs[job.name]
        sums.add(row)
        if sums.played % EVERY == 0:
            for name, value in sums.numbers().items():
                writer.add_scalar(f"running/{name}", value, sums.played)

    def end(self, result: RunResult) -> None:
        """Write the KPIs and close the file."""
        if result.name in self._runs:  # a run that was not begun has none
            _, writer = self._runs.pop(result.name)
            for name, value in finals(result).items():
                writer.add_scalar(f"final/{name}", value, result.played)
            writer.add_text("run", f"{result.origin.policy.spec}: {result.status} {result.reason}")
            writer.close()

    def close(self) -> None:
        """Close what an error left open."""
        for _, writer in self._runs.values():
            writer.close()
        self._runs.clear()


class MLflowLogger:
    """One MLflow run per run, in the store that MLFLOW_TRACKING_URI names, else in `DIR/mlflow`."""

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        with needs("--log mlflow", "mlflow"):
            from mlflow import MlflowClient
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        # made when the first run begins: it makes its database, and the folder is not ours before that
        self._make: Callable[[], Any] = lambda: MlflowClient(tracking_uri=uri)
        self._client: Any = None
        self._name = folder.name
        self._experiment: str | None = None
        self._runs: dict[str, tuple[RunningSums, str]] = {}

    def begin(self, job: JobSpec, total: int) -> None:
        """Open a run."""
        if self._client is None:
            self._client = self._make()
        if self._experiment is None:
            found = self._client.get_experiment_by_name(self._name)
            self._experiment = found.experiment_id if found else self._client.create_experiment(self._name)
        run = self._client.create_run(self._experiment, run_name=job.name).info.run_id
        values = {"policy": job.contender.spec, "case": job.case, "seed": job.seed, "scenario": job.scenario.hash}
        values |= {"information_set": job.contender.info.information.name}
        for key, value in values.items():
            self._client.log_param(run, key, value)
        self._runs[job.name] = (RunningSums(), run)

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Add a point a day."""
        sums, run = self._runs[job.name]
        sums.add(row)
        if sums.played % EVERY == 0:
            for name, value in sums.numbers().items():
                self._client.log_metric(run, f"running_{name}", value, step=sums.played)

    def end(self, result: RunResult) -> None:
        """Write the KPIs and close the run."""
        if result.name in self._runs:
            _, run = self._runs.pop(result.name)
            for name, value in finals(result).items():
                self._client.log_metric(run, name, value)
            self._client.set_tag(run, "reason", result.reason)
            self._client.set_terminated(run, "FINISHED" if result.complete else "FAILED")

    def close(self) -> None:
        """Close what an error left open."""
        for _, run in self._runs.values():
            self._client.set_terminated(run, "KILLED")
        self._runs.clear()


def finals(result: RunResult) -> dict[str, float]:
    """Return the figures of a run that has ended."""
    names = {"profit_usd": "total_profit", "satisfaction": "avg_satisfaction", "violations": "total_violations"}
    values = {name: result.number(kpi) for name, kpi in names.items()}
    return {"seconds": result.seconds} | {name: float(value) for name, value in values.items() if value is not None}


LOGGERS: dict[str, Callable[[Path, Experiment], RunLogger]] = {"tensorboard": TensorBoardLogger, "mlflow": MLflowLogger}
"""Loggers by name: (folder, experiment) -> logger. `LOGGERS["mine"] = ...` adds one."""


@contextmanager
def make_loggers(names: Sequence[str], folder: Path, experiment: Experiment) -> Iterator[list[RunLogger]]:
    """Open loggers, and close them behind the block.

    Raises
    ------
    MissingExtraError
        When one is not installed.
    """
    loggers = [LOGGERS[name](folder, experiment) for name in dict.fromkeys(names)]
    try:
        yield loggers
    finally:
        for logger in loggers:
            logger.close()
