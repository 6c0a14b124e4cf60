"""Where runs are kept between the executor and the files of their seed: in memory, or in folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpp_benchmarks.results import store
from vpp_benchmarks.results.manifest import software
from vpp_benchmarks.results.run_folder import RunFiles, Stored
from vpp_benchmarks.run.executors import Done
from vpp_benchmarks.run.experiment import job_hash
from vpp_benchmarks.run.job import JobResult
from vpp_benchmarks.run.plan import JobSpec


class Memory:
    """Keeps runs in memory, where nothing is to be written."""

    def __init__(self) -> None:
        self._files: dict[str, RunFiles] = {}

    def has(self, job: JobSpec) -> bool:
        """Whether the run is there, complete."""
        return False

    def save(self, done: Done) -> None:
        """Keep a run."""
        self._files[done.end.job.name] = done.files

    def load(self, job: JobSpec) -> JobResult | None:
        """Return a run; None where there is none."""
        files = self._files.pop(job.name, None)
        return Stored(files).result(job) if files else None

    def of_other_software(self, jobs: Sequence[JobSpec]) -> int:
        """How many of these runs were played by another commit or other packages than there are now."""
        return 0


class Folders(Memory):
    """Keeps runs in folders."""

    def __init__(self, out: Path) -> None:
        self._store = store.RunStore(out / store.RUNS)

    def has(self, job: JobSpec) -> bool:
        """Whether the run is there, complete, and of the same job."""
        return self._store.finished(job.name, job_hash(job))

    def save(self, done: Done) -> None:
        """Write a run, if it was begun."""
        if done.files:
            self._store.save(done.end.job.name, done.files)

    def load(self, job: JobSpec) -> JobResult | None:
        """Read a run; None where there is none."""
        folder = self._store.root / job.name
        return Stored(folder).result(job) if folder.is_dir() else None

    def of_other_software(self, jobs: Sequence[JobSpec]) -> int:
        """How many of these runs were played by another commit or other packages than there are now."""
        now = software()
        manifests = (Stored(self._store.root / job.name).manifest for job in jobs)
        return sum(any(manifest[key] != now[key] for key in now) for manifest in manifests)
