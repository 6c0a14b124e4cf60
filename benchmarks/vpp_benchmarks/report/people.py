"""Sections of the report of which a reader chooses a page: any home's month, and the conversation of any hour."""

from __future__ import annotations

from html import escape

from vpp_benchmarks.report.conversation import conversations_of
from vpp_benchmarks.report.home import Homes
from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.panels import Pack, chosen

MOST_HOMES = 2000
"""Pages of homes in a report; beyond, those of most and least net benefit are kept, and the dashboard has them all."""
MOST_HOURS = 1500
"""Conversations in a report."""


def homes(m: Material) -> str:
    """Return the month of any home under any policy."""
    # who did nothing comes last: there is nothing to see
    order = sorted(m.best_first(), key=lambda run: run.kpis is None or not (run.kpis.sold_mwh or run.kpis.bought_mwh))
    some = {run.label: Homes(run) for run in order if len(run.table("prosumers"))}
    if not some:
        return ""
    each = MOST_HOMES // len(some)
    packs = {}
    for label, one in some.items():
        net = one.homes["net_benefit_usd"]
        ranked = net.sort_values(ascending=False, kind="stable").index.tolist()
        kept = sorted(ranked if len(ranked) <= each else [*ranked[: each // 2], *ranked[-(each - each // 2) :]])
        names = [f"home {k} ({one.homes['profile'][k]}), {net[k]:z,.2f} USD" for k in kept]
        packs[label] = Pack(names, [one.page(k) for k in kept], kept.index(ranked[0]))
    origin, count = m.shown[0].origin, max(len(one) for one in some.values())
    left = (
        f" Of {count} homes the {each} of most and least net benefit; the dashboard shows all." if count > each else ""
    )
    where = f"{escape(origin.case)}, seed {origin.seed}; net benefit beside the name.{left}"
    return (
        f"<p class=note>Why was it dispatched, what did it earn, what did it refuse? {where}</p>{chosen(packs, 'Home')}"
    )


def conversations(m: Material) -> str:
    """Return the conversation of any hour of the policies that negotiate."""
    some = conversations_of({run.label: Homes(run) for run in m.best_first() if "transcripts" in run.tables})
    if not some:
        return ""
    packs, each = {}, MOST_HOURS // len(some)
    for label, one in some.items():
        best, hours = one.best, list(one.hours)
        kept = sorted(sorted(hours, key=lambda o: (abs(o - best), o))[:each])
        packs[label] = Pack([one.hours[o] for o in kept], [one.page(o) for o in kept], kept.index(best))
    origin = m.shown[0].origin
    where = f"{escape(origin.case)}, seed {origin.seed}"
    return f"<p class=note>Who said what, and what happened afterwards. {where}.</p>{chosen(packs, 'Hour')}"
