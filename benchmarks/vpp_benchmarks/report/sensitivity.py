"""Does the order of policies hang on what is assumed: the folder's own study, or the published one, and which it is."""

from __future__ import annotations

import json
import math
from functools import cache
from html import escape
from importlib import resources

from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.svg import Markup, table
from vpp_benchmarks.report.tables import DIGITS, number
from vpp_benchmarks.results.advantages import NOTHING
from vpp_benchmarks.results.orders import DEFAULT, Order, Study, seeds_text
from vpp_env.evaluation.kpi import table as kpis

PUBLISHED = resources.files("vpp_benchmarks.report") / "templates" / "sensitivity.json"
"""The tables of docs/sensitivity.md, made from that page by docs/published_sensitivity.py."""


@cache
def published() -> dict[str, Study]:
    """Return the published studies by scenario, that of the default month first."""
    studies = json.loads(PUBLISHED.read_text(encoding="utf-8"))["studies"]
    return {study.scenario: study for study in map(Study.from_json, studies)}


def sensitivity(m: Material) -> str:
    """Return the orders under every change, a table for each figure they are ordered by."""
    if m.study is not None:
        study, source = m.study, "Of this folder"
    elif m.seeds:
        names = published()
        mine = m.seeds[0].scenario
        study = names.get(mine.name, next(iter(names.values())))
        same = "the scenario of this run as it is" if study.hash == mine.hash else "another scenario than this run's"
        source = f"Not of this run, which has no study of its own (`vpp-env sensitivity --into DIR`): published, {same}"
    else:
        return ""
    what = f"{source}. {study.scenario}, hash {study.hash}, market {study.market}, {seeds_text(study.seeds)}"
    said = f"<p class=note>{_code(what)}; made by {_code(f'`{study.command}`')} at {escape(study.code)}.</p>"
    entries = {kpi.name: kpi for kpi in kpis()}
    parts = [said]
    for name in study.found.orders[0].means:
        entry = entries.get(name)
        parts.append(by(study, name, entry.label if entry else name, DIGITS[entry.form] if entry else 2))
    note = "One parameter is changed at a time; bold: another place than as it is, (2) the second. Kendall distance: "
    note += f"pairs of policies the other way round, of {study.found.pairs}. Means over the seeds; whether two differ "
    note += "by more than chance is not said here."
    return "".join(parts) + f"<p class=note>{note}</p>"


def by(study: Study, name: str, label: str, digits: int) -> str:
    """Return the orders by one figure, a change a row and a policy a column."""
    first, moved = study.found.orders[0], study.found.moved(name)
    labels = sorted(first.means[name], key=lambda policy: -first.means[name][policy])
    places = _places(first, name)
    rows = []
    for order in study.found.orders:
        means, mine = order.means[name], _places(order, name)
        cells = []
        for policy in labels:
            text = number(means.get(policy), digits)
            elsewhere = policy in mine and mine[policy] != places[policy]
            cells.append(Markup(f"<b>{text} ({mine[policy]})</b>") if elsewhere else text)
        far = order.distance[name]
        away = "" if order.change == DEFAULT else "not defined" if math.isnan(far) else f"{far:g}"
        rows.append([order.change, *cells, away])
    most = max((order.distance[name] for order in moved), default=0.0)
    count = len(study.found.orders) - 1
    lead = f"{len(moved)} of {count} changes move the order" + (f", by {most:g} at most." if moved else ".")
    return f"<h3>By {escape(label)}: {lead}</h3>{table(['change', *labels, 'Kendall distance'], rows)}"


def _places(order: Order, name: str) -> dict[str, int]:
    """Return the place of every policy in an order, the best first; who is tied shares one."""
    means = order.means[name]
    return {policy: 1 + sum(other > mine + NOTHING for other in means.values()) for policy, mine in means.items()}


def _code(text: str) -> str:
    """Return text with what stands in backquotes as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if j % 2 else part for j, part in enumerate(parts))
