"""Several policies at once, one process each; the same results as one after the other.

A run is a pure function of the plan and the seed: every process builds its own copy of the month. Only the parent
talks to the terminal and writes files; it also decides when to stop.
"""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import queue
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from typing import Any

from benchmarks.job import FAILED, INTERRUPTED, NOT_RUN, JobResult, JobSpec, Progress, play
from benchmarks.plan import Plan
from vpp_env.month import Month

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
STOPPED_BEFORE = "the comparison was interrupted before"


@dataclass
class _Sender:
    """Tells the parent how a run gets on; stops where the parent asks for it."""

    inbox: Any  # queue of (label, kind, content)
    stop: Any  # event

    def begin(self, job: JobSpec, total: int) -> None:
        self.inbox.put((job.contender.label, "begin", total))

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        self.inbox.put((job.contender.label, "row", row))
        if self.stop.is_set():
            raise KeyboardInterrupt

    def end(self, result: JobResult) -> None:
        self.inbox.put((result.label, "result", result))


class _LogSender(logging.handlers.QueueHandler):
    """Hands the child's log records to the parent, which has the log file."""

    def __init__(self, label: str, inbox: Any) -> None:
        super().__init__(inbox)
        self._label, self._inbox = label, inbox

    def enqueue(self, record: logging.LogRecord) -> None:
        self._inbox.put((self._label, "log", record))


def _run(job: JobSpec, plan: Plan, inbox: Any, stop: Any) -> None:
    """Play one job; the whole of a child process."""
    root = logging.getLogger()
    root.addHandler(_LogSender(job.contender.label, inbox))
    root.setLevel(logging.INFO)
    # Ctrl-C reaches the whole process group: the parent answers it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    month = Month(plan.scenario, job.seed, plan.market_data, plan.node)
    play(job, month, _Sender(inbox, stop))


def play_together(jobs: Sequence[JobSpec], plan: Plan, progress: Progress, workers: int) -> Iterator[JobResult]:
    """Play `jobs` of one seed in up to `workers` processes; yield every result as it comes.

    A process that dies leaves a failed result with its exit status. After an interrupt (`progress` raises
    KeyboardInterrupt) the runs end with their current opportunity, and runs not begun are `not_run`; a second one ends
    the processes at once.
    """
    # spawn: a fork would copy a process whose other threads draw the terminal
    context = multiprocessing.get_context("spawn")
    inbox, stop = context.Queue(), context.Event()
    waiting, running = list(jobs), dict[str, tuple[JobSpec, SpawnProcess]]()
    try:
        while waiting or running:
            while waiting and len(running) < workers and not stop.is_set():
                job = waiting.pop(0)
                process = context.Process(target=_run, args=(job, plan, inbox, stop), daemon=True)
                process.start()
                running[job.contender.label] = (job, process)
            if stop.is_set():
                yield from (JobResult(job, NOT_RUN, STOPPED_BEFORE) for job in waiting)
                waiting = []
            try:
                label, kind, content = inbox.get(timeout=POLL_SECONDS)
            except queue.Empty:
                yield from _bury(running)
                continue
            try:
                if kind == "begin":
                    progress.begin(running[label][0], content)
                elif kind == "row":
                    progress.row(running[label][0], content)
                elif kind == "log":
                    logging.getLogger(content.name).handle(content)
                else:
                    progress.end(content)
            except KeyboardInterrupt:
                stop.set()
            if kind == "result":
                running.pop(label)[1].join()
                if content.status == INTERRUPTED:
                    stop.set()
                yield content
    except KeyboardInterrupt:
        yield from (JobResult(job, INTERRUPTED, "stopped at once by a second Ctrl-C") for job, _ in running.values())
        yield from (JobResult(job, NOT_RUN, STOPPED_BEFORE) for job in waiting)
    finally:
        for _, process in running.values():
            process.terminate()


def _bury(running: dict[str, tuple[JobSpec, SpawnProcess]]) -> Iterator[JobResult]:
    """Yield a failed result for every process that ended without one; called when nothing is left to read."""
    for label, (job, process) in list(running.items()):
        if not process.is_alive():
            del running[label]
            log.error("%s: its process ended with exit status %s", label, process.exitcode)
            reason = f"its process ended with exit status {process.exitcode} (killed, or out of memory)"
            yield JobResult(job, FAILED, reason)
