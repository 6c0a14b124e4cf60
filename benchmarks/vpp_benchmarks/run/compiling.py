"""Says that kernels are being compiled: the first run on a machine takes its time before the first opportunity."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

log = logging.getLogger(__name__)

KIND = "numba:compile"
"""Numba's event around a compilation; there is none where a kernel comes from the cache on disk."""
TELL_SECONDS = 3.0
"""Seconds between two lines while kernels compile: on a busy machine they come a second or two late."""
FIRST = "compiling, once: kernels of this version are kept for the next run"


class _Watch(event.Listener):
    """Writes a line at the first compilation, and others while one is under way: `_OneVoice` thins them."""

    def __init__(self) -> None:
        self._depth = 0
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def on_start(self, event: Any) -> None:
        """Compilation begins, perhaps inside another."""
        self._depth += 1
        if self._thread is None:
            log.info(FIRST)
            self._thread = threading.Thread(target=self._tell, daemon=True)
            self._thread.start()

    def on_end(self, event: Any) -> None:
        """Compilation ends."""
        self._depth -= 1

    def _tell(self) -> None:
        while not self._over.wait(0.25):
            if self._depth:
                log.info(FIRST)

    def close(self) -> None:
        """End the thread."""
        self._over.set()


class _OneVoice(logging.Filter):
    """Thins the lines of a process and of its children to one every `TELL_SECONDS`, by one clock."""

    def __init__(self) -> None:
        super().__init__()
        self._first: float | None = None
        self._told = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the first line pass, and later how long it has been."""
        if self._first is None:
            self._first = self._told = record.created
            return True
        if record.created - self._told < TELL_SECONDS:
            return False
        self._told = record.created
        record.msg, record.args = "compiling, once: %.0f s", (record.created - self._first,)
        return True


@contextmanager
def watched() -> Iterator[None]:
    """Log, several times a second, that this process compiles, while the block runs: for who thins the lines."""
    watch = _Watch()
    try:
        with event.install_listener(KIND, watch):
            yield
    finally:
        watch.close()


@contextmanager
def told() -> Iterator[None]:
    """Log what is compiled in this process, and in those whose records it handles, while the block runs."""
    voice = _OneVoice()
    log.addFilter(voice)
    try:
        with watched():
            yield
    finally:
        log.removeFilter(voice)
