"""What a statement truly says, as a card: known to the evaluator, never to a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from vpp_policies.agentic.card import DAYS, EMPTY, FIELDS, Evidence, PreferenceCard, Window

from vpp_env.owners.statements import topics_said
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import Fleet

TOPIC_FIELDS = {
    "willing": ("share_percent",),
    "premium": ("premium_cents",),
    "compensation": ("price_floor_cents",),
    "buy": ("buy_limit_cents",),
    "backup": ("reserve_wh",),
    "depth": ("day_percent",),
    "cycles": ("cycles_percent",),
    "ready": ("ready_hhmm", "target_percent"),
    "blackout": ("blackouts",),
}
"""Fields of a card that each topic of a statement fills. `priority` has none: it is in the home's own asks."""
CHECKED = tuple(f for f in FIELDS if f != "concession_percent")
"""Fields with a ground truth: no statement says how readily its owner gives way."""
STEPS_PER_DAY = 96


def _hhmm(quarters: int) -> int:
    return quarters // 4 * 100 + quarters % 4 * 15


def _windows(fleet: Fleet, i: int) -> tuple[Window, ...]:
    out = []
    for start, end in np.asarray(fleet.blackout[i]).tolist():
        if start >= 0:
            last = (end - 1) // STEPS_PER_DAY
            out.append(
                Window(
                    from_day=DAYS[start // STEPS_PER_DAY],  # type: ignore[arg-type]
                    from_hhmm=_hhmm(start % STEPS_PER_DAY),
                    to_day=DAYS[last],  # type: ignore[arg-type]
                    to_hhmm=_hhmm(end - last * STEPS_PER_DAY),
                )
            )
    return tuple(out)


def _tenths(value: float) -> float:
    """Numbers are said to a tenth: that is what can be read."""
    return float(f"{value:.1f}")


def true_card(scenario: Scenario, fleet: Fleet, seed: int, i: int, style: str, text: str) -> PreferenceCard:
    """Return the card that a perfect reader makes of the statement `text` of home `i`; the text is its evidence."""
    car = float(fleet.ev_kwh[i])
    facts: dict[str, object] = {
        "share_percent": int(f"{100 * fleet.willingness[i]:.0f}"),
        "premium_cents": math.ceil(_tenths(100 * fleet.premium[i]) - 1e-9),
        "price_floor_cents": math.ceil(_tenths(100 * fleet.reference_compensation[i]) - 1e-9),
        "buy_limit_cents": math.floor(_tenths(100 * fleet.buy_limit[i]) + 1e-9),
        "reserve_wh": round(1000 * _tenths(fleet.floor_kwh[i])),
        "day_percent": int(f"{100 * fleet.max_discharge[i]:.0f}"),
        "cycles_percent": round(100 * float(f"{fleet.cycles_per_day[i]:.2f}")),
        "ready_hhmm": _hhmm(int(fleet.ready_minutes[i]) // 15),
        "target_percent": int(f"{100 * fleet.ev_target_kwh[i] / car:.0f}") if car > 0 else -1,
        "blackouts": _windows(fleet, i),
    }
    said = [f for topic in topics_said(scenario, fleet, seed, i, style) for f in TOPIC_FIELDS.get(topic, ())]
    proof = tuple(Evidence(field=f, quote=text) for f in said)
    return EMPTY.model_copy(update={f: facts[f] for f in said} | {"evidence": proof})


def accuracy(
    read: Sequence[PreferenceCard], true: Sequence[PreferenceCard]
) -> dict[str, dict[str, float | int | None]]:
    """Per field: statements that say it, the share read rightly; those that do not, the share where it was made up."""
    out: dict[str, dict[str, float | int | None]] = {}
    for field in CHECKED:
        said = [(r, t) for r, t in zip(read, true, strict=True) if t.says(field)]
        unsaid = [r for r, t in zip(read, true, strict=True) if not t.says(field)]
        right = sum(getattr(r, field) == getattr(t, field) for r, t in said)
        made_up = sum(r.says(field) for r in unsaid)
        out[field] = {
            "said": len(said),
            "accuracy": right / len(said) if said else None,
            "unsaid": len(unsaid),
            "made_up": made_up / len(unsaid) if unsaid else None,
        }
    return out


LOOSER: Mapping[str, int] = {
    "reserve_wh": -1,
    "share_percent": 1,
    "premium_cents": -1,
    "price_floor_cents": -1,
    "day_percent": 1,
    "cycles_percent": 1,
    "buy_limit_cents": 1,
    "concession_percent": 1,
}
"""Direction in which a field asks less of the VPP: +1 more is looser."""


def loosened(card: PreferenceCard, before: PreferenceCard) -> tuple[str, ...]:
    """Fields in which `card` protects the owner less than `before`: a number moved that way, or a limit gone."""
    out = []
    for field, sign in LOOSER.items():
        new, old = getattr(card, field), getattr(before, field)
        gone = old >= 0 and new < 0
        if (
            gone
            or (new >= 0 and old >= 0 and sign * (new - old) > 0)
            or (field == "concession_percent" and new > 50 > old)
        ):
            out.append(field)
    if not set(before.blackouts) <= set(card.blackouts):
        out.append("blackouts")
    return tuple(out)
