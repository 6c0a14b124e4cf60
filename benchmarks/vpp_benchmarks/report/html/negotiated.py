"""The negotiation of an hour in HTML: bids, counter-offers and the coalition by round."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from vpp_benchmarks.report.busiest_day import busiest_day
from vpp_benchmarks.report.html import charts
from vpp_benchmarks.report.html.gather import Detail, Material
from vpp_benchmarks.report.html.parts import table
from vpp_benchmarks.report.html.talk import Talk, talks
from vpp_benchmarks.report.tables import number

MOST_MEMBERS = 12
"""Members of a coalition that are listed; the others are counted."""


def negotiation(m: Material) -> str:
    """Return the negotiations of one day, an hour at a time."""
    talking = [d for d in m.details if len(d.run.table("transcripts"))]
    if not talking:
        return ""
    date = busiest_day([d.intervals for d in m.details if len(d.intervals)])
    parts = []
    for k, d in enumerate(talking):
        texts = d.run.table("transcripts")
        same = texts[texts["timestamp"].dt.normalize() == date]
        found = talks(texts, sorted(set(same["opportunity"])))
        if found:
            parts.append(_hours(d, found, k))
    return "".join(parts)


def _hours(detail: Detail, found: Mapping[int, Talk], k: int) -> str:
    """Return one policy's hours: a choice, and the hour in which most was sold shown first."""
    sold = detail.run.table("opportunities").set_index("opportunity")["sold_kwh"]
    best = max(found, key=lambda o: (float(sold.get(o, 0.0)), -o))
    options = "".join(
        f'<option value="talk-{k}-{o}"{" selected" if o == best else ""}>{escape(t.start[:16])}</option>'
        for o, t in found.items()
    )
    boxes = "".join(
        f'<div id="talk-{k}-{o}" class="talk-{k}"{"" if o == best else " hidden"}>{hour(t)}</div>'
        for o, t in found.items()
    )
    choice = f'<label class=noprint>Hour: <select data-group="talk-{k}">{options}</select></label>'
    return f"<h3>{escape(detail.label)}</h3>{choice}{boxes}"


def hour(talk: Talk) -> str:
    """Return one negotiation: what was announced, offers by round, and the coalition."""
    a, s = talk.announced, talk.summary
    told = [f"<strong>{escape(talk.start[:16])}</strong>"]
    if a:
        told.append(f"day-ahead price {number(a['day_ahead_price'])} USD/MWh, for sale: {escape(str(a['product']))}")
    if s:
        told.append(f"{s['contacted']} homes contacted, {s['bids']} bid, coalition of {s['coalition_size']}")
        told.append(f"{number(1000 * s['committed_mw'], 1)} kW committed, {escape(str(s['status']))}")
    rows = [
        [
            str(r.number),
            str(r.asked),
            number(r.kw, 1),
            f"{number(r.low, 3)} / {number(r.mean, 3)} / {number(r.high, 3)}",
            str(r.accepted),
            str(r.countered),
            number(r.counter, 3),
        ]
        for r in talk.rounds
    ]
    header = [
        "round",
        "homes asked",
        "kW",
        "offer, USD/kWh: low / mean / high",
        "accepted",
        "countered",
        "counter-offer",
    ]
    members = [
        [f"home {x['home']}", number(x["kw"], 2), number(x["price"], 3), str(x["device"])]
        for x in talk.members[:MOST_MEMBERS]
    ]
    more = len(talk.members) - len(members)
    rest = f"<p class=note>and {more} more</p>" if more > 0 else ""
    drawn = charts.rounds(talk) if talk.rounds else ""
    others = "".join(f"<pre>{escape(json.dumps(x, ensure_ascii=False))}</pre>" for x in talk.others[:MOST_MEMBERS])
    coalition = table(["coalition", "kW", "agreed, USD/kWh", "device"], members) + rest if members else ""
    return (
        f"<p>{'; '.join(told)}.</p><div class=grid2><div>{table(header, rows, 0)}{drawn}</div>"
        f"<div>{coalition}</div></div>{others}"
    )
