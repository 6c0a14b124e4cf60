"""The audit of a run's policy, and what is said while it plays: it may take a minute in which nothing else happens."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vpp_benchmarks.run.log import TELL_SECONDS, told_while
from vpp_benchmarks.run.plan import JobSpec
from vpp_env.contract.policy import parse_spec
from vpp_env.evaluation.audit import audit
from vpp_env.evaluation.verdict import Audit, Verdict
from vpp_env.simulation.month import Month

log = logging.getLogger(__name__)


@dataclass
class _Far:
    """How far an audit is, in gates that copies of the policy have played."""

    played: int = 0
    most: int = 0

    def on_gate(self, played: int, most: int) -> None:
        self.played, self.most = played, most

    def __str__(self) -> str:
        return f"{self.played / self.most:.0%} of {self.most:,} gates" if self.most else "the first gate"


def announce(jobs: Sequence[JobSpec]) -> None:
    """Say how many audits there will be, each at the beginning of a run; nothing where there are none."""
    audited = [job.contender.label for job in jobs if job.audit_seed == job.seed]
    if audited:
        log.info("audits: %d, of %s", len(audited), ", ".join(dict.fromkeys(audited)))


def audit_of(job: JobSpec, month: Month) -> Audit | None:
    """Audit the run's policy on the first hours of its month; None where it is audited on another one, or not at all.

    One that asks a language model is not audited: its answers cost money and are not the same twice.
    """
    hours, spec, information = job.checks.verify_hours, job.contender.spec, job.contender.info.information
    if not hours or job.audit_seed != job.seed:
        return None
    where = f"{job.case}, seed {job.seed}"
    # the author of a policy knows the seed, and not the salt
    text = f"{job.name} {job.checks.salt.text if job.checks.salt else ''}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    if parse_spec(spec)[1].get("brain") == "llm":
        reason = "it asks a language model, whose answers cost money and are not the same twice"
        return Audit(Verdict.CLAIMED, information, seed, 0, (), reason=reason, month=where)
    per_hour = 60 // job.scenario.time.opportunity_minutes
    gates = min(hours * per_hour, job.scenario.n_opportunities)
    name = f"{job.contender.label}, seed {job.seed}"
    log.info("%s: audit of its information at the first %d gates, which copies of it play", name, gates)
    begin, far = time.perf_counter(), _Far()
    with told_while(lambda s: log.info("%s: audit, %s, %.0f s", name, str(far), s), TELL_SECONDS):
        found = audit(month, spec, gates, seed, job.checks.policy_timeout_s, on_gate=far.on_gate)
    log.info("%s: %s, in %.1f s", name, found.said, time.perf_counter() - begin)
    return replace(found, month=where)
