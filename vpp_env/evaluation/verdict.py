"""What an audit of a policy's information found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from vpp_env.contract.views import Information


class Verdict(Enum):
    """How far what a policy declares about its information can be believed."""

    VERIFIED = "verified"  # what its set hides was altered, and no bid moved
    CLAIMED = "claimed"  # nobody looked, or it could not be looked at
    REFUTED = "refuted"  # a bid moved with what its set hides


@dataclass(frozen=True)
class Finding:
    """One bid that moved with what it must not know."""

    gate: int  # opportunity at which the bid was made
    row: int  # prosumer whose bid moved; -1: an output of the fleet
    part: str  # of the bids: "actions", ...
    altered: str  # what had been altered


@dataclass(frozen=True)
class Audit:
    """The result of `vpp_env.evaluation.audit.audit`."""

    verdict: Verdict
    information: Information  # the set that was declared and granted
    seed: int  # of the audit's own draws
    gates: int  # the first so many gates of the month were looked at
    checked: tuple[str, ...]  # what was altered
    evidence: tuple[Finding, ...] = ()  # the first few
    reason: str = ""  # why it is no more than claimed
    month: str = ""  # where it was looked at: case and seed; empty: not within a comparison, or not at all

    @property
    def because(self) -> str:
        """Why it is no more, and the first bid that moved; empty where it is verified."""
        moved = [f"gate {f.gate}, prosumer {f.row}: {f.part} moved with {f.altered}" for f in self.evidence[:1]]
        return "; ".join([self.reason] * bool(self.reason) + moved)

    @property
    def said(self) -> str:
        """The verdict, where it was looked at and why it is no more."""
        where = f" ({self.month}, {self.gates} gates)" if self.month and self.gates else ""
        return f"{self.verdict.value}{where}{f': {self.because}' if self.because else ''}"

    @property
    def separate(self) -> bool:
        """Whether each home's bids follow from its own row alone: what consent by the owner's own bids needs."""
        return self.verdict is Verdict.VERIFIED and self.information is Information.OWN

    def to_json(self) -> dict[str, Any]:
        """Return strict JSON data."""
        return asdict(self) | {"verdict": self.verdict.value, "information": self.information.name}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Audit:
        """Read what `to_json` made."""
        own = {
            "verdict": Verdict(data["verdict"]),
            "information": Information[data["information"]],
            "checked": tuple(data["checked"]),
            "evidence": tuple(Finding(**one) for one in data["evidence"]),
        }
        return cls(**(dict(data) | own))


def verdict_of(audits: Iterable[Audit | None]) -> Verdict:
    """Return one verdict on a policy of the audits of its runs: the worst of them; None is a run without one."""
    found = [Verdict.CLAIMED if audit is None else audit.verdict for audit in audits] or [Verdict.CLAIMED]
    return next(v for v in (Verdict.REFUTED, Verdict.CLAIMED, Verdict.VERIFIED) if v in found)
