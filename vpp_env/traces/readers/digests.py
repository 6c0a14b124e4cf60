"""SHA-256 of files of data, by which runs say what they were played on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, which is read again only where it has changed."""
    stat = file.stat()
    return _digest(file, stat.st_mtime_ns, stat.st_size)


def digests(files: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of files, by path."""
    return {str(file): digest(file) for file in files}


@lru_cache(maxsize=1024)
def _digest(file: Path, changed_ns: int, size: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
