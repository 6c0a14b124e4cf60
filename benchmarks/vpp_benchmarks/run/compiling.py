"""Says that kernels are being compiled: the first run on a machine takes its time before the first opportunity."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

log = logging.getLogger(__name__)

KIND = "numba:compile"
"""Numba's event around a compilation; there is none where a kernel comes from the cache on disk."""
TELL_SECONDS = 3.0
"""Seconds between two lines while kernels compile: on a busy machine they come a second or two late."""


class _Watch(event.Listener):
    """Writes a line at the first compilation, and another every `TELL_SECONDS` while one is under way."""

    def __init__(self) -> None:
        self._depth = 0
        self._begin: float | None = None
        self._told = 0.0
        self._over = threading.Event()

    def on_start(self, event: Any) -> None:
        """Compilation begins, perhaps inside another."""
        self._depth += 1
        if self._begin is None:
            self._begin = self._told = time.monotonic()
            log.info("compiling, once: kernels of this version are kept for the next run")
            threading.Thread(target=self._tell, daemon=True).start()

    def on_end(self, event: Any) -> None:
        """Compilation ends."""
        self._depth -= 1

    def _tell(self) -> None:
        assert self._begin is not None
        while not self._over.wait(0.25):
            now = time.monotonic()
            if self._depth and now - self._told >= TELL_SECONDS:
                self._told = now
                log.info("compiling, once: %.0f s", now - self._begin)

    def close(self) -> None:
        """End the thread."""
        self._over.set()


@contextmanager
def told() -> Iterator[None]:
    """Log what is compiled in this process while the block runs."""
    watch = _Watch()
    try:
        with event.install_listener(KIND, watch):
            yield
    finally:
        watch.close()
