"""The sections behind the result: ceilings, time and cost, and where it all is from."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from vpp_benchmarks.report.conclusions import caveats
from vpp_benchmarks.report.html.gather import Material
from vpp_benchmarks.report.html.parts import bullets, table
from vpp_benchmarks.report.tables import number, percent


def bounds(m: Material) -> str:
    """Return ceilings and what every policy is short of them, where they were computed."""
    some = [u for u in m.units if u.get("ceilings")]
    if not some:
        return ""
    rows = []
    for u in some:
        for name, c in u["ceilings"].items():
            if isinstance(c, Mapping):
                brackets = [
                    f"{number(b[0])} to {number(b[1])}" if b else "-" for b in (c.get("value"), c.get("profit"))
                ]
                rows.append([u["case"], str(u["seed"]), name, *brackets])
    header = ["case", "seed", "ceiling", "joint surplus, USD", "VPP profit, USD"]
    keys = {"regret, USD": "regret", "score": "score", "profit score": "profit_score"}
    labels = list(some[0]["policies"])
    shares = []
    for label in labels:
        cells = []
        for key in keys.values():
            values = [u["policies"][label].get(key) for u in some]
            known = [v for v in values if v is not None]
            cells.append(number(float(np.mean(known)), 3) if known else "-")
        shares.append([label, *cells])
    gaps = [u["ceilings"]["gap"] for u in some if u["ceilings"].get("gap") is not None]
    note = f"<p class=note>Brackets are proven; the widest is {percent(max(gaps), 2)}.</p>" if gaps else ""
    return table(header, rows, 3) + note + table(["policy", *keys], shares)


def time_and_cost(m: Material) -> str:
    """Return seconds, and what language models took where there were any."""
    names = {"avg_time_seconds": "s per decision", "wall_seconds": "wall seconds, all units"}
    names |= {k: k for t in m.times.values() for k in t if k not in names}
    rows = [[label, *(number(t.get(k), 4) for k in names)] for label, t in m.times.items()]
    parts = [table(["policy", *names.values()], rows)]
    keys = list(dict.fromkeys(k for u in m.units for p in u["policies"].values() for k in p if k.startswith("llm_")))
    if keys:
        rows = []
        for label in m.units[0]["policies"]:
            cells = []
            for key in keys:
                values = [u["policies"][label].get(key) for u in m.units]
                sums = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
                cells.append(number(sum(sums), 4) if sums else ", ".join(sorted({str(v) for v in values if v})) or "-")
            rows.append([label, *cells])
        parts += ["<h3>Language model</h3>", table(["policy", *(k.removeprefix("llm_") for k in keys)], rows)]
        parts.append("<p class=note>Sums over all units.</p>")
    return "".join(parts)


def origin(m: Material) -> str:
    """Return where the results are from: policies, runs that did not complete, scenario, versions."""
    policies = m.units[0]["policies"] if m.units else {}
    rows = [[label, p["spec"], p["information_set"], p["consent"], p["description"]] for label, p in policies.items()]
    parts = [table(["policy", "as called", "sees", "consent", "what it is"], rows, 5)]
    broken = [
        [label, str(u["case"]), str(u["seed"]), p["status"], p["reason"] or ""]
        for u in m.units
        for label, p in u["policies"].items()
        if p["status"] != "complete"
    ]
    if broken:
        parts += ["<h3>Runs that are not complete</h3>", table(["policy", "case", "seed", "status", "why"], broken, 5)]
    if len(m.units) == 1:
        parts += ["<h3>Caveats</h3>", bullets(caveats(m.units[0]))]
    if m.manifest:
        git = m.manifest.get("git") or {}
        commit = f"{git.get('commit', 'unknown')}{' with changes' if git.get('dirty') else ''}"
        pairs = [("commit", commit), ("python", m.manifest["python"]), ("platform", m.manifest["platform"])]
        pairs += [(k, v or "not installed") for k, v in m.manifest["packages"].items()]
        pairs += [(f"prices: {k}", v) for k, v in m.manifest["data"]["series"].items()]
        pairs += [(f"SHA-256 {k}", v) for k, v in m.manifest["data"]["files_sha256"].items()]
        parts.append(f"<details><summary>Versions and data</summary>{table(['what', 'which'], pairs, 2)}</details>")
        toml = escape(m.manifest["scenario"]["toml"])
        name = f"{m.manifest['scenario']['name']}, hash {m.manifest['scenario']['hash']}"
        parts.append(f"<details><summary>Scenario {escape(name)}</summary><pre>{toml}</pre></details>")
    return "".join(parts)
