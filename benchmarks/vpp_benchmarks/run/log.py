"""The log of a run: one file beside the results, and plain lines on the terminal where nothing moves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

LOGGERS = ("vpp_benchmarks", "vpp_policies", "vpp_env", "py.warnings")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
TELL_SECONDS = 3.0
"""Seconds between two lines of work that nothing else is said of."""
PLAIN_WIDTH = 120
"""Characters per line where standard output is no terminal."""


def console() -> Console:
    """Return the console of standard output, wide enough for tables where it is a pipe."""
    found = Console()
    return found if found.is_terminal else Console(width=PLAIN_WIDTH)


@contextmanager
def told_while(tell: Callable[[float], None], every: float = TELL_SECONDS) -> Iterator[None]:
    """Call `tell` with the seconds so far again and again while the block runs, from a thread of its own."""
    over, begin = threading.Event(), time.monotonic()

    def again() -> None:
        while not over.wait(every):
            tell(time.monotonic() - begin)

    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write what the packages log, and warnings, to a file while the block runs."""
    with _handler(logging.FileHandler(path, encoding="utf-8"), FORMAT):
        yield


@contextmanager
def log_to_terminal(level: int = logging.INFO) -> Iterator[None]:
    """Write the same as short lines to standard error (continuous integration, pipes)."""
    with _handler(logging.StreamHandler(), "%(asctime)s %(message)s", level):
        yield


@contextmanager
def _handler(handler: logging.Handler, pattern: str, level: int = logging.INFO) -> Iterator[None]:
    handler.setFormatter(logging.Formatter(pattern))
    handler.setLevel(level)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.level for logger in loggers]
    logging.captureWarnings(True)
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(old)
        logging.captureWarnings(False)
        handler.close()
