"""What is seen while a comparison runs: a live line per policy on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.job import JobResult, JobSpec
from benchmarks.job import Progress as Listener

log = logging.getLogger(__name__)

LOG_PARTS = 4
"""Plain lines per run."""
REFRESH_SECONDS = 0.1
STOPPING = "interrupted: finishing this opportunity, then writing what is done; Ctrl-C again stops at once"


@dataclass
class Tally:
    """Figures of a run so far."""

    played: int = 0
    profit: float = 0.0
    satisfaction: float = 0.0
    violations: int = 0

    def add(self, row: dict[str, Any]) -> None:
        """Add one opportunity."""
        self.played += 1
        self.profit += row["actual_profit"]
        self.satisfaction += row["prosumer_satisfaction"]
        self.violations += row["preference_violations"]

    def figures(self) -> dict[str, Any]:
        """Figures as text; satisfaction is the mean over opportunities."""
        mean = self.satisfaction / self.played if self.played else 1.0
        return {"profit": f"{self.profit:,.2f}", "satisfaction": f"{mean:.3f}", "violations": f"{self.violations:,}"}


class LogProgress:
    """A line in the log at every quarter of a run."""

    def __init__(self) -> None:
        self._runs: dict[JobSpec, tuple[Tally, int]] = {}

    def begin(self, job: JobSpec, total: int) -> None:
        """Start counting."""
        self._runs[job] = (Tally(), total)
        log.info("%s, seed %d: %d opportunities", job.contender.label, job.seed, total)

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Count; write at every quarter."""
        tally, total = self._runs[job]
        tally.add(row)
        if tally.played * LOG_PARTS // total > (tally.played - 1) * LOG_PARTS // total:
            figures = ", ".join(f"{name} {value}" for name, value in tally.figures().items())
            log.info("%s, seed %d: %d/%d, %s", job.contender.label, job.seed, tally.played, total, figures)

    def end(self, result: JobResult) -> None:
        """Write nothing: the runner logs every result."""


class LiveProgress:
    """A rich bar with the figures so far; use inside `with live(...)`."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._runs: dict[JobSpec, tuple[Tally, TaskID]] = {}
        self._shown: dict[JobSpec, float] = {}

    def begin(self, job: JobSpec, total: int) -> None:
        """Add a line."""
        tally = Tally()
        name = f"{job.contender.label} [dim]#{job.seed}[/]"
        self._runs[job] = (tally, self._bars.add_task(name, total=total, **tally.figures()))

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Count; show ten times a second at most."""
        self._runs[job][0].add(row)
        now = time.monotonic()
        if now - self._shown.get(job, 0.0) >= REFRESH_SECONDS:
            self._shown[job] = now
            self._show(job)

    def end(self, result: JobResult) -> None:
        """Show the last figures."""
        # a run that failed before its first opportunity has no line
        if result.job in self._runs:
            self._show(result.job)
            self._bars.stop_task(self._runs[result.job][1])

    def _show(self, job: JobSpec) -> None:
        tally, task = self._runs[job]
        self._bars.update(task, completed=tally.played, **tally.figures())


@contextmanager
def live(console: Console) -> Iterator[LiveProgress]:
    """Show bars on a terminal while the block runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("[bold]{task.fields[profit]}[/] USD"),
        TextColumn("satisf. [bold]{task.fields[satisfaction]}[/]"),
        TextColumn("viol. [bold]{task.fields[violations]}[/]"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield LiveProgress(bars)


class Several:
    """Tell several listeners, and stop where Ctrl-C asked for it."""

    def __init__(self, listeners: Sequence[Listener], stop: Stop) -> None:
        self._listeners, self._stop = tuple(listeners), stop

    def begin(self, job: JobSpec, total: int) -> None:
        """Tell all; raise KeyboardInterrupt where Ctrl-C came between two runs."""
        for listener in self._listeners:
            listener.begin(job, total)
        if self._stop.asked:
            raise KeyboardInterrupt

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Tell all; raise KeyboardInterrupt between two opportunities."""
        for listener in self._listeners:
            listener.row(job, row)
        if self._stop.asked:
            raise KeyboardInterrupt

    def end(self, result: JobResult) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.end(result)


@dataclass
class Stop:
    """Whether Ctrl-C was pressed."""

    asked: bool = False


@contextmanager
def stop_on_interrupt(say: Callable[[str], object] | None = None) -> Iterator[Stop]:
    """Let the first Ctrl-C wait for the end of the opportunity, and the second stop at once.

    So the tables never hold half of an opportunity, and no solver is torn out of its work. `say` tells the user, where
    the log is not on the terminal.
    """
    stop = Stop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        log.warning(STOPPING)
        if say is not None:
            say(STOPPING)

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
