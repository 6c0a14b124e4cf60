"""Files of an experiment: written to a temporary name and renamed, so that a reader never sees half of one."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from vpp_benchmarks.results.encode import to_json
from vpp_benchmarks.results.run_result import MANIFEST as RUN_MANIFEST
from vpp_benchmarks.results.run_result import SUMMARY as RUN_SUMMARY
from vpp_benchmarks.results.run_result import RunResult, parse_json
from vpp_benchmarks.run.plan import PlanError, file_name
from vpp_env.errors import VppError

log = logging.getLogger(__name__)

RESULTS, SUMMARY, REPORT = "simulation_results.csv", "simulation_summary.json", "simulation_report.md"
MANIFEST, LOG, TRANSCRIPTS, OVERVIEW = "manifest.json", "simulation.log", "transcripts.jsonl", "overview.png"
EXPERIMENT, LOCK, RUNS, LIVE = "experiment.json", ".lock", "runs", "progress.json"
STATISTICS, HTML = "statistics.json", "report.html"
TEMPORARY = ".tmp-"
"""Beginning of the name of a folder that is being written."""


class StoreError(VppError, OSError):
    """Results cannot be written; what was written before is whole."""


def default_folder(scenario: str, now: datetime | None = None) -> Path:
    """Return `results/<scenario>-<time>` below the working directory, with a number where it is taken."""
    stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
    first = folder = Path("results") / f"{file_name(scenario)}-{stamp}"
    number = 1
    while folder.exists():
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def check_free(folder: Path) -> None:
    """Raise `PlanError` unless results may be written to `folder`: nothing is ever overwritten."""
    unbegun = (LOCK, temporary_of(folder / EXPERIMENT).name)  # left by a command that could not begin, or was killed
    if folder.is_file() or (folder.is_dir() and any(f.name not in unbegun for f in folder.iterdir())):
        begun = (folder / EXPERIMENT).is_file()
        remedy = f"give another --out, continue it with --resume {folder}" if begun else "give another --out"
        raise PlanError(
            f"output folder {str(folder)!r} exists and is not empty; nothing is overwritten: {remedy}, or remove it "
            "first"
        )


def check_links(folder: Path) -> None:
    """Raise `PlanError` where a symbolic link lies in `folder`: what is written there would go elsewhere.

    Run folders are not looked into: nothing is written into one, it is replaced whole.
    """
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink():
                raise PlanError(
                    f"{str(path)!r} is a symbolic link, and what is written there would go elsewhere; allowed are "
                    "files and folders: take it away"
                )
        if Path(parent) == folder / RUNS:
            folders.clear()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it while the block runs; the lock dies with the process, however it ends.

    Raises
    ------
    StoreError
        When another process holds it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a", encoding="utf-8")
    except OSError as error:
        raise StoreError(_cannot_write(folder, error)) from error
    with file:
        try:
            _lock(file)
        except OSError as error:
            raise StoreError(
                f"{str(folder)!r} is being written by another process; wait for it, or give another --out"
            ) from error
        yield


def held(folder: Path) -> bool:
    """Whether a process holds `folder`: it plays, or works out and writes what it has played."""
    if not (folder / LOCK).is_file():
        return False
    with (folder / LOCK).open("a", encoding="utf-8") as file:
        try:
            _lock(file)
        except OSError:
            return True
    return False


def _lock(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _cannot_write(path: Path, error: OSError) -> str:
    return f"cannot write {str(path)!r}: {error.strerror or error}"


def _checked(write: Callable[[Path], None], path: Path) -> None:
    try:
        write(path)
    except OSError as error:
        raise StoreError(_cannot_write(path, error)) from error


def temporary_of(path: Path) -> Path:
    """Return the name under which a file is written before it is whole."""
    return path.with_name(f".{path.name}.tmp")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file at once or not at all.

    Raises
    ------
    StoreError
        When it cannot be written (no space, no permission).
    """
    temporary = temporary_of(path)

    def write(path: Path) -> None:
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    _checked(write, path)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text at once or not at all, with the same line ends everywhere."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write strict JSON at once or not at all."""
    write_bytes(path, to_json(data))


def clear_live(folder: Path) -> None:
    """Take away what a process that was killed has told of its progress; the caller holds the lock."""
    live = folder / LIVE
    for path in (live, temporary_of(live)):
        _checked(lambda p: p.unlink(missing_ok=True), path)


def make_folder(path: Path) -> None:
    """Make a folder, or raise `StoreError`."""
    _checked(lambda p: p.mkdir(parents=True, exist_ok=True), path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object, or raise `PlanError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PlanError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    return parse_json(content, repr(str(path)))


class RunStore:
    """The run folders of one experiment; the caller holds the lock of the experiment.

    Parameters
    ----------
    root : Path
        Folder that holds a folder per run.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        make_folder(root)
        # left by a process that was killed while it wrote
        for stale in root.glob(f"{TEMPORARY}*"):
            _checked(shutil.rmtree, stale)

    def save(self, run: RunResult) -> None:
        """Write a run folder at once or not at all; one that is there already is replaced.

        Raises
        ------
        StoreError
            When it cannot be written; a folder that was there before is still whole.
        """
        name, files = run.name, run.files()
        final, temporary, old = self.root / name, self.root / f"{TEMPORARY}{name}", self.root / f"{TEMPORARY}old-{name}"

        def write(path: Path) -> None:
            try:
                temporary.mkdir()
                for file, content in files.items():
                    (temporary / file).write_bytes(content)
                if path.exists():
                    os.replace(path, old)
                os.replace(temporary, path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)

        _checked(write, final)

    def finished(self, name: str, digest: str) -> bool:
        """Whether the run is there, whole, complete, and of the same job; one that is damaged is told."""
        if not (self.root / name / RUN_MANIFEST).is_file():
            return False
        try:
            run = self.read(name)
        except PlanError as error:
            log.warning("%s; it is played again", error)
            return False
        return run.complete and run.origin.digest == digest

    def read(self, name: str) -> RunResult:
        """Read a run."""
        return RunResult.read(self.root / name)


def run_folders(folder: Path) -> list[Path]:
    """Return the run folders of an experiment, or the folder itself where it is one."""
    if (folder / RUNS).is_dir():
        return sorted(f for f in (folder / RUNS).iterdir() if (f / RUN_MANIFEST).is_file())
    return [folder] if (folder / RUN_SUMMARY).is_file() else []
