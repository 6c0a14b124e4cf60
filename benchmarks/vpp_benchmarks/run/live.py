"""A table that moves on a terminal while a comparison runs: a line per run, and one of the whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run import auditing, compiling
from vpp_benchmarks.run.job import JobSpec
from vpp_benchmarks.run.job import Progress as Listener
from vpp_benchmarks.run.log import log_to_terminal
from vpp_benchmarks.run.progress import FEW_RUNS, LogProgress, RunningSums, Several, stop_on_interrupt

REFRESH_SECONDS = 0.1
ROOMY = 115
"""Letters of a line from which the moving table shows satisfaction and violations too."""


class LiveProgress:
    """A table that moves: the whole with the time that is left, and a line for every run under way."""

    def __init__(self, bars: Progress, runs: int) -> None:
        self._bars = bars
        self._runs: dict[str, tuple[RunningSums, TaskID]] = {}
        self._shown: dict[str, float] = {}
        self._keep = runs <= FEW_RUNS
        none: dict[str, Any] = dict.fromkeys(RunningSums().figures(), "")
        self._whole = bars.add_task("[bold]all runs[/]", total=runs, **none) if runs > 1 else None

    def begin(self, job: JobSpec, total: int) -> None:
        """Add a line."""
        sums = RunningSums()
        name = f"{job.contender.label} [dim]{job.case} #{job.seed}[/]"
        self._runs[job.name] = (sums, self._bars.add_task(name, total=total, **sums.figures()))

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Count; show ten times a second at most."""
        self._runs[job.name][0].add(row)
        now = time.monotonic()
        if now - self._shown.get(job.name, 0.0) >= REFRESH_SECONDS:
            self._shown[job.name] = now
            self._show(job.name)

    def end(self, result: RunResult) -> None:
        """Show the last figures; of many runs the line goes."""
        name = result.name
        # a run that failed before its first opportunity has no line
        if name in self._runs:
            self._show(name)
            _, task = self._runs.pop(name)
            self._shown.pop(name, None)
            self._bars.stop_task(task)
            if not self._keep:
                self._bars.remove_task(task)
        if self._whole is not None:
            self._bars.advance(self._whole)

    def _show(self, name: str) -> None:
        sums, task = self._runs[name]
        if sums.played:  # on a cluster runs are not followed by the opportunity
            self._bars.update(task, completed=sums.played, **sums.figures())


@contextmanager
def live(console: Console, runs: int = 1) -> Iterator[LiveProgress]:
    """Show bars on a terminal while the block runs; lines above say what comes before the first opportunity."""
    roomy = console.width >= ROOMY
    more = (
        "satisf./opp. [bold]{task.fields[satisfaction per opportunity]}[/]",
        "viol. [bold]{task.fields[violations]}[/]",
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12 if roomy else 5),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("[bold]{task.fields[profit]}[/] USD"),
        *(TextColumn(text) for text in (more if roomy else ())),
        *((TimeElapsedColumn(),) if roomy else ()),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars, _lines_to(bars.console):
        yield LiveProgress(bars, runs)


@contextmanager
def watched(console: Console, runs: int) -> Iterator[Several]:
    """Listen to runs while the block runs: bars on a terminal, warnings and a log elsewhere; Ctrl-C stops between two.

    For commands whose result is a page; `compare` shows more.
    """
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_interrupt(console.print if console.is_terminal else None))
        if console.is_terminal:
            shown: Listener = stack.enter_context(live(console, runs))
        else:
            stack.enter_context(log_to_terminal(logging.WARNING))
            shown = LogProgress(runs)
        yield Several([shown], stop)


class _Rate(ProgressColumn):
    """Opportunities, or runs, a second."""

    def render(self, task: Task) -> Text:
        """Return the rate; empty before there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s")


class _Lines(logging.Handler):
    """Prints log records above what moves."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        self._console.print(record.getMessage(), highlight=False, markup=False)


@contextmanager
def _lines_to(console: Console) -> Iterator[None]:
    """Print what is said of kernels that compile and of audits."""
    handler, logs = _Lines(console), (compiling.log, auditing.log)
    before = [log.level for log in logs]
    for log in logs:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.removeHandler(handler)
            log.setLevel(level)
