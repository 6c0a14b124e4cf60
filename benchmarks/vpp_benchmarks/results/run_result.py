"""One run, from the world to its folder and back: `RunResult`. What is read of a run anywhere is read here.

| file | what it holds |
|---|---|
| `manifest.json` | schema, hash of the job, status, error, scenario, data, policy, versions, SHA-256 of files |
| `summary.json` | every KPI but times |
| `opportunities.parquet`, `intervals.parquet`, `prosumers.parquet` | the tables of docs/files.md |
| `dispatch.parquet`, `events.parquet` | who was dispatched, what went wrong (`vpp_env.evaluation.home_record`) |
| `prices.parquet`, `transcripts.parquet` | market prices; messages as JSON text |
| `timing.parquet`, `timing.json` | seconds per opportunity; wall seconds, and their SHA-256 |
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from vpp_benchmarks.results.encode import is_time, plain, to_json, to_parquet
from vpp_benchmarks.results.llm_kpis import LlmBill
from vpp_benchmarks.results.software import Software
from vpp_benchmarks.run.plan import Contender, PlanError
from vpp_env.contract.policy import Consent, PolicyInfo
from vpp_env.contract.views import Information
from vpp_env.errors import VppError
from vpp_env.evaluation.consent import BY_CONSTRUCTION, consent_note
from vpp_env.evaluation.kpi import Kpis, table
from vpp_env.evaluation.kpi_entry import Ceilings
from vpp_env.evaluation.verdict import Audit, verdict_of
from vpp_env.scenario import Scenario, scenario_from_dict
from vpp_env.traces.readers.digests import digest

COMPLETE, INTERRUPTED, FAILED, NOT_RUN = "complete", "interrupted", "failed", "not_run"
"""States of a run."""
MEASURED, SEEDED = "measured", "seeded"
"""Kinds of price series."""
FIRST_MARKET = "caiso2023.1"
"""Version of the market before scenarios named it."""
RUN_SCHEMA = "vpp_env.run/1"
"""Version of the files of a run folder; see docs/files.md."""
TABLES = ("opportunities", "intervals", "prosumers", "dispatch", "events", "prices", "transcripts")
MANIFEST, SUMMARY, TIMING, TIMES = "manifest.json", "summary.json", "timing.json", "timing.parquet"
REMEDY = "take the folder from where it was written, or play the run again with --resume"
VOLATILE = (TIMING, TIMES)
"""The only files that differ between two plays of the same run."""


@dataclass(frozen=True)
class ScenarioFacts:
    """The scenario that a run was played in; `toml` is all of it."""

    name: str
    hash: str
    homes: int
    planned_timesteps: int
    toml: str

    @property
    def market_version(self) -> str:
        """Version of the market's rules; scenarios that name none are of the first."""
        return str(tomllib.loads(self.toml)["market"].get("version", FIRST_MARKET))

    @property
    def full(self) -> Scenario:
        """The scenario itself; raises `ScenarioError` where it is of a version with other fields."""
        return scenario_from_dict(tomllib.loads(self.toml))


@dataclass(frozen=True)
class PriceSource:
    """Where a run's prices are from."""

    series: Mapping[str, str]  # kind -> file or model
    files_sha256: Mapping[str, str]  # path -> digest; empty for the seeded model
    node: str | None

    @property
    def kinds(self) -> dict[str, str]:
        """Series -> `measured` or `seeded`: what its source begins with; a file is measured."""
        return {k: MEASURED if text.startswith((MEASURED, "file")) else SEEDED for k, text in self.series.items()}

    @property
    def digest(self) -> str:
        """Short digests of the files, and the node: the same for the same prices; empty for the seeded model."""
        files = (sha[:12] for sha in sorted(self.files_sha256.values()))
        return " ".join([*files, *([self.node] if self.node else [])])


@dataclass(frozen=True)
class HomeSource:
    """Where a run's homes are from; empty where all is generated."""

    series: Mapping[str, str] = field(default_factory=dict)  # devices, load, pv, vehicles, notes -> how it came about
    files_sha256: Mapping[str, str] = field(default_factory=dict)  # path -> digest

    @property
    def kinds(self) -> dict[str, str]:
        """Series -> `measured`, `measured in part`, `given` or `generated`: what its source begins with."""
        return {k: text.partition(":")[0] for k, text in self.series.items() if k != "notes"}

    @property
    def digest(self) -> str:
        """Short digest of the files and their names, which say what they are; empty where all is generated."""
        parts = [f"{Path(path).name} {sha}" for path, sha in self.files_sha256.items()]
        return f"homes {hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}" if parts else ""

    def to_json(self) -> dict[str, Any]:
        """Return what manifests hold of it: nothing where all is generated."""
        return {"homes": {**asdict(self), "kinds": self.kinds}} if self.series or self.files_sha256 else {}


@dataclass(frozen=True)
class Origin:
    """Where a run is from: everything that its result depends on."""

    name: str  # of its folder
    digest: str  # hash of the job, see `experiment.job_hash`
    case: str
    seed: int
    policy: Contender
    scenario: ScenarioFacts
    prices: PriceSource
    software: Software
    salt_sha256: str | None = None  # of the world's salt; None: the world is what its seed says
    homes: HomeSource = field(default_factory=HomeSource)

    @property
    def world(self) -> str:
        """What tells worlds of one scenario and seed apart: prices, node, homes, salt; empty for the plain one."""
        salt = self.salt_sha256 and f"salt {self.salt_sha256[:12]}"
        return " ".join(x for x in (self.prices.digest, self.homes.digest, salt) if x)

    @property
    def code(self) -> str:
        """Commit or version of this package, and short digests of the policy's own files."""
        return " ".join([self.software.code, *(sha[:8] for _, sha in self.policy.files)])


@dataclass(frozen=True)
class RunResult:
    """What one run leaves behind, in memory and on disk.

    `tables` are `TABLES`, those that there are; of a run that was read from a folder each is read when it is asked for.
    """

    origin: Origin
    status: str
    reason: str = ""  # why it is not complete
    traceback: str = ""
    seconds: float = 0.0  # wall clock
    played: int = 0  # opportunities
    kpis: Kpis | None = None  # None when nothing was played, or the run failed
    llm: LlmBill | None = None  # None without a language model
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)
    audit: Audit | None = None  # of what the policy declares; None: nobody looked

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.origin.name

    @property
    def label(self) -> str:
        """The policy's label."""
        return self.origin.policy.label

    @property
    def info(self) -> PolicyInfo:
        """What the policy declared."""
        return self.origin.policy.info

    @property
    def verdict(self) -> str:
        """How far what the policy declares can be believed: `verified`, `claimed` or `refuted`."""
        return verdict_of([self.audit]).value

    @property
    def consent_note(self) -> str:
        """Why its consented satisfaction is 0 whatever it does; empty where consent is counted."""
        return consent_note(self.info, self.audit, bool(self.kpis and self.kpis.contracts_signed))

    @property
    def complete(self) -> bool:
        """Whether the whole month was played."""
        return self.status == COMPLETE

    @property
    def begun(self) -> bool:
        """Whether there is anything to keep."""
        return self.status != NOT_RUN

    def number(self, kpi: str) -> float | None:
        """Return a KPI as a number; None where it is not defined or not there."""
        return None if self.kpis is None else self.kpis.number(kpi)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table; one without columns where the run left none."""
        return self.tables[name] if name in self.tables else pd.DataFrame()

    def scored(self, ceilings: Ceilings) -> RunResult:
        """Return the run with the KPIs that ceilings give; as it is where it is not complete."""
        return replace(self, kpis=self.kpis.scored(ceilings)) if self.complete and self.kpis else self

    def without_tables(self) -> RunResult:
        """Return the run as it is kept in memory when its tables are written."""
        return replace(self, tables={})

    # -- JSON ----------------------------------------------------------------------------------------------------

    def summary_json(self, scored: bool = False) -> dict[str, Any]:
        """Return what the policy is, how the run ended and every KPI; with `scored` also those of ceilings."""
        info = self.info
        out: dict[str, Any] = {
            "spec": self.origin.policy.spec,
            "description": info.description,
            "status": self.status,
            "reason": self.reason or None,
            "information_set": info.information.name,
            "asks_consent": info.asks_consent,
            "consent": info.consent.value,
            "verdict": self.verdict,
            "total_timesteps": self.played,
        }
        if self.kpis is not None:
            out |= self.kpis.to_json(scored and self.complete)
            if self.consent_note:
                out["satisfaction_consented_note"] = self.consent_note
        if self.llm is not None:
            out["llm"] = plain(self.llm)
        return out | {"wall_seconds": self.seconds}

    def policy_json(self) -> dict[str, Any]:
        """Return what the policy is and what it was allowed to see."""
        info = self.info
        return {
            "spec": self.origin.policy.spec,
            "description": info.description,
            "reference": info.reference or None,
            "information_set": info.information.name,
            "asks_consent": info.asks_consent,
            "consent": info.consent.value if info.asks_consent else BY_CONSTRUCTION,
            "verdict": self.verdict,
            "audit": None if self.audit is None else self.audit.to_json(),
            **({"files_sha256": dict(files)} if (files := self.origin.policy.files) else {}),
        }

    def manifest_json(self) -> dict[str, Any]:
        """Return the manifest: nothing in it differs between two plays of the same run."""
        o = self.origin
        return {
            "schema": RUN_SCHEMA,
            "run": o.name,
            "hash": o.digest,
            "status": self.status,
            "reason": self.reason or None,
            "traceback": self.traceback or None,
            "case": o.case,
            "scenario": asdict(o.scenario),
            "seed": o.seed,
            "salt_sha256": o.salt_sha256,
            "policy": {"label": self.label, **self.policy_json()},
            "data": {**asdict(o.prices), "kinds": o.prices.kinds, **o.homes.to_json()},
            **asdict(o.software),
        }

    # -- files ---------------------------------------------------------------------------------------------------

    def files(self) -> dict[str, bytes]:
        """Return the files of its folder, name -> content: the same run gives the same bytes but for `VOLATILE`."""
        times = {kpi.name for kpi in table() if kpi.is_time} | {"wall_seconds"}
        summary = plain(self.summary_json())
        files = {SUMMARY: to_json({key: value for key, value in summary.items() if key not in times})}
        played = self.table("opportunities")
        timed = [column for column in played.columns if is_time(column)]
        tables = {name: self.table(name) for name in TABLES} | {"opportunities": played.drop(columns=timed)}
        files |= {f"{name}.parquet": to_parquet(one) for name, one in tables.items() if len(one.columns)}
        moments = {TIMES: to_parquet(played[[c for c in ("opportunity",) if c in played.columns] + timed])}
        timing = {key: value for key, value in summary.items() if key in times}
        return {
            MANIFEST: to_json(sealed(self.manifest_json(), files)),
            **files,
            TIMING: to_json(sealed(timing, moments)),
            **moments,
        }

    @classmethod
    def read(cls, folder: Path) -> RunResult:
        """Read a run folder.

        Raises
        ------
        PlanError
            When it is no run folder, of another schema, or damaged: a file of it is not what its manifest says.
        """
        try:
            return cls._read(folder)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, VppError):
                raise
            raise PlanError(f"{folder}: {MANIFEST} is not a run's ({error!r:.200}); {REMEDY}") from error

    @classmethod
    def _read(cls, folder: Path) -> RunResult:
        m = _json(folder, MANIFEST)
        if m.get("schema") != RUN_SCHEMA:
            raise PlanError(f"{folder}: its schema is {m.get('schema')!r:.80}; this version reads {RUN_SCHEMA!r}")
        timing = _json(folder, TIMING)
        for name, data in ((MANIFEST, m), (TIMING, timing)):
            check_seal(folder, name, data)
        summary = _json(folder, SUMMARY)
        p = m["policy"]
        consent = Consent(p["consent"]) if p["asks_consent"] else Consent.NEVER
        info = PolicyInfo(
            p["label"], Information[p["information_set"]], consent, p["description"], p["reference"] or ""
        )
        origin = Origin(
            m["run"],
            m["hash"],
            m["case"],
            m["seed"],
            Contender(p["label"], p["spec"], info, tuple(p.get("files_sha256", {}).items())),
            ScenarioFacts(**m["scenario"]),
            PriceSource(**{f.name: m["data"][f.name] for f in fields(PriceSource)}),
            Software(**{f.name: m[f.name] for f in fields(Software)}),
            m.get("salt_sha256"),
            HomeSource(**{k: v for k, v in m["data"].get("homes", {}).items() if k != "kinds"}),
        )
        return cls(
            origin,
            m["status"],
            m["reason"] or "",
            m["traceback"] or "",
            timing["wall_seconds"],
            summary["total_timesteps"],
            Kpis.from_json(summary | timing) if "total_profit" in summary else None,
            LlmBill(**summary["llm"]) if "llm" in summary else None,
            _FolderTables(folder),
            None if p.get("audit") is None else Audit.from_json(p["audit"]),
        )


@dataclass(frozen=True)
class _FolderTables(Mapping[str, pd.DataFrame]):
    """The tables of a run folder, each read when it is asked for: a thousand runs are not kept in memory."""

    folder: Path

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self:
            raise KeyError(name)
        try:
            found = pd.read_parquet(self.folder / f"{name}.parquet")
            if name == "opportunities" and len(found):
                times = pd.read_parquet(self.folder / TIMES)
                found = found.assign(**{c: times[c] for c in times.columns if c != "opportunity"})
        except (ValueError, OSError, KeyError, NotImplementedError) as error:  # arrow's errors are such
            raise PlanError(f"{self.folder}: {name}.parquet cannot be read; {REMEDY}") from error
        return found

    def __contains__(self, name: object) -> bool:
        return name in TABLES and (self.folder / f"{name}.parquet").is_file()

    def __iter__(self) -> Iterator[str]:
        return (name for name in TABLES if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if path.is_symlink():
        raise PlanError(f"{folder}: {name} is a symbolic link; allowed are files: {REMEDY}")
    try:
        return parse_json(path.read_bytes(), f"{folder}: {name}")
    except FileNotFoundError as error:
        raise PlanError(f"{folder}: there is no {name}; this is no run folder") from error
    except OSError as error:
        raise PlanError(f"{folder}: {name} cannot be read: {error.strerror}") from error


def parse_json(content: bytes, where: str) -> dict[str, Any]:
    """Return the object that JSON of a folder holds, which anybody may have written.

    Raises
    ------
    PlanError
        When it is no JSON, or no object.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{where} is not valid JSON: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(data, dict):
        raise PlanError(f"{where} holds a {type(data).__name__}; allowed is an object")
    return data


def sealed(data: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """Return JSON data with the SHA-256 of the files that belong to it, if any do, and of itself."""
    whole = dict(data)
    if files is not None:
        whole["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return whole | {"sha256": hashlib.sha256(to_json(whole)).hexdigest()}


def check_seal(folder: Path, name: str, data: Mapping[str, Any]) -> None:
    """Raise `PlanError` where JSON data or a file that belongs to it is not what it was when it was written.

    Data of before there were seals are taken as they are.
    """
    if "sha256" not in data and "files" not in data:
        return
    whole = {key: value for key, value in data.items() if key != "sha256"}
    if data.get("sha256") != hashlib.sha256(to_json(whole)).hexdigest():
        raise PlanError(f"{folder}: {name} has been changed since it was written; {REMEDY}")
    for file, digest_then in data.get("files", {}).items():
        path = folder / file
        if Path(file).name != file or path.is_symlink():
            raise PlanError(f"{folder}: {file} is a symbolic link, or in another folder; allowed are files: {REMEDY}")
        if not path.is_file():
            raise PlanError(f"{folder}: {file} is not there any more; {REMEDY}")
        if digest(path) != digest_then:
            raise PlanError(f"{folder}: {file} has been changed since it was written; {REMEDY}")
