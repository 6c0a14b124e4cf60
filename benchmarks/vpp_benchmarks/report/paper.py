"""The paper kit of a results folder: LaTeX tables, vector figures, how to make it again, a datasheet, a benchmark card.

All of it is read from the folder; nothing is played. What only authors can know is marked `[fill in]`.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from vpp_benchmarks.report.markdown import caveats
from vpp_benchmarks.report.paper_figures import figures
from vpp_benchmarks.report.result import ALONE, MOST_COLUMNS
from vpp_benchmarks.report.tables import Table, number, tables
from vpp_benchmarks.results import store
from vpp_benchmarks.results.comparison import Planned, read_ceilings, statistics_of
from vpp_benchmarks.results.notes import notes
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.results.statistics import Statistics
from vpp_benchmarks.results.summary import SeedResult, mean_ladder
from vpp_benchmarks.run.plan import PlanError
from vpp_env.scenario.splits import split_of

FOLDER = "paper"
TEMPLATES = resources.files("vpp_benchmarks.report") / "templates"
PACKAGE_LICENCE = "- Code and everything that is generated: MIT."
CAPTIONS = {
    "headline": "Policies; means with 95 per cent intervals where there are several units.",
    "differences": "Paired differences from the first policy; p-values corrected by Holm's method.",
    "ladder": "Welfare of doing nothing, of every policy, and ceilings that no policy can exceed, USD.",
}
FIGURE_CAPTIONS = {
    "welfare": "Welfare by policy, with the ceilings where they were computed.",
    "pareto": "Profit against satisfaction.",
    "differences": "Welfare less that of the first policy, on the same months.",
}


@dataclass(frozen=True)
class Kit:
    """What the kit is made of."""

    folder: Path
    planned: Planned
    seeds: Sequence[SeedResult]
    statistics: Statistics | None
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Kit:
        """Read a results folder.

        Raises
        ------
        PlanError
            When no run of it has begun.
        """
        planned = Planned.read(folder)
        runs = [RunResult.read(path) for path in store.run_folders(folder)]
        seeds = []
        for unit in planned.units:
            found = [run for run in runs if (run.origin.case, run.origin.seed) == unit]
            found.sort(key=lambda run: planned.labels.index(run.label))
            if found:
                seeds.append(SeedResult.of(found, read_ceilings(planned.folder(folder, unit))))
        if not seeds:
            raise PlanError(f"{folder}: no run has ended yet; `vpp-env compare --resume {folder}` goes on")
        manifest = store.read_json(folder / store.MANIFEST)
        return cls(folder, planned, seeds, statistics_of(planned, seeds), manifest)

    @property
    def runs(self) -> list[RunResult]:
        """Every run."""
        return [run for seed in self.seeds for run in seed.runs]

    @property
    def name(self) -> str:
        """What it is called in headings."""
        return ", ".join(self.planned.cases)


def write_paper(folder: Path) -> Path:
    """Write the kit of a results folder below it and return where it is."""
    kit = Kit.read(folder)
    out = folder / FOLDER
    store.check_links(folder)
    for name in ("tables", "figures"):
        store.make_folder(out / name)
    most = ALONE if kit.statistics is None else MOST_COLUMNS
    whole = [one for one in tables(kit.planned, kit.seeds, kit.statistics) if one.header] + _ladder(kit)
    made = [part for one in whole for part in one.parts(most)]
    for one in made:
        store.write_text(out / "tables" / f"{one.name}.tex", one.latex())
    drawn = figures(kit.planned.labels, kit.seeds, kit.statistics)
    for name, files in drawn.items():
        for suffix, content in files.items():
            store.write_bytes(out / "figures" / f"{name}.{suffix}", content)
    store.write_text(out / "main.tex", _filled("main.tex", {"body": _body([one.name for one in made], list(drawn))}))
    shared = {"name": kit.name, "licences": _licences(kit), "splits": _splits(kit.planned.seeds)}
    store.write_text(out / "datasheet.md", _filled("datasheet.md", shared | _datasheet(kit)))
    store.write_text(out / "benchmark_card.md", _filled("benchmark_card.md", shared | _card(kit)))
    paths = [folder / name for name in (store.EXPERIMENT, store.SUMMARY, store.STATISTICS)]
    paths += [out / "tables" / f"{one.name}.tex" for one in made]
    store.write_text(out / "REPRODUCE.md", _filled("REPRODUCE.md", {"name": kit.name} | _reproduce(kit, paths)))
    return out


def _filled(template: str, fields: Mapping[str, object]) -> str:
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(fields)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in dict.fromkeys(lines)) or "- none"


def _ladder(kit: Kit) -> list[Table]:
    """Return the table of the ladder; none without ceilings."""
    units, rungs = mean_ladder(kit.seeds)
    rows = [[rung, number(usd)] for rung, usd in rungs]
    return [Table("ladder", [{"rung": r, "usd": u} for r, u in rungs], ["rung", "welfare, USD"], rows)] if units else []


def _body(made: Sequence[str], drawn: Sequence[str]) -> str:
    """Return the floats of main.tex."""
    lines = []
    for name in made:
        inside = rf"\fit{{tables/{name}}}"
        base, _, part = name.partition("_")
        caption = CAPTIONS[base] + (f" Part {part}." if part else "")
        lines.append(rf"\begin{{table}}\centering\caption{{{caption}}}{inside}\end{{table}}")
    for name in drawn:
        inside = rf"\includegraphics{{figures/{name}.pdf}}"
        lines.append(rf"\begin{{figure}}\centering{inside}\caption{{{FIGURE_CAPTIONS[name]}}}\end{{figure}}")
    return "\n".join(lines)


# -- what is said of the data --------------------------------------------------------------------------------------


def _scenarios(kit: Kit) -> str:
    first = {seed.case: seed for seed in kit.seeds}
    lines = []
    for case, seed in first.items():
        s, facts = seed.scenario, seed.runs[0].origin.scenario
        lines.append(
            f"`{case}`: {s.fleet.size} homes, {s.hours} h from {s.time.start}, opportunities of "
            f"{s.time.opportunity_minutes} min; market {facts.market_version}; hash `{facts.hash}`"
        )
    return _bullets(lines)


def _splits(seeds: Sequence[int]) -> str:
    """Say which seeds belong to which split."""
    found: dict[str, list[int]] = {}
    for seed in seeds:
        found.setdefault(split_of(seed) or "no split", []).append(seed)
    told = "; ".join(f"{name}: {_seeds(some)}" for name, some in found.items())
    return f"{told} (test 0-29 for figures that are reported, validation 1000-1099 for choices, training 10000 and up)"


def _seeds(some: Sequence[int]) -> str:
    if len(some) > 1 and list(some) == list(range(some[0], some[-1] + 1)):
        return f"seeds {some[0]}-{some[-1]}"
    return f"seeds {', '.join(map(str, some))}"


def _sources(kit: Kit, homes: bool) -> list[str]:
    """Return where series are from, alike ones together."""
    found: dict[str, list[str]] = {}
    for run in kit.runs:
        for kind, text in (run.origin.homes if homes else run.origin.prices).series.items():
            kinds = found.setdefault(text, [])
            kinds += [kind] if kind not in kinds else []
    return [f"{', '.join(kinds)}: {text}" for text, kinds in found.items()]


def _licences(kit: Kit) -> str:
    """Return the licence of the code and of every measured series that the runs used."""
    lines = [PACKAGE_LICENCE]
    sources = json.loads((resources.files("vpp_env.data") / "sources.json").read_text(encoding="utf-8"))
    files = {Path(path).name for run in kit.runs for path in run.origin.prices.files_sha256}
    files |= {Path(path).name for run in kit.runs for path in run.origin.homes.files_sha256}
    packaged = sorted(files & set(sources))
    lines += [f"- `{name}`: {sources[name]['source']}. {sources[name]['licence']}." for name in packaged]
    lines += [f"- `{name}`: brought by the authors; licence **[fill in]**" for name in sorted(files - set(sources))]
    return "\n".join(lines)


def _datasheet(kit: Kit) -> dict[str, object]:
    homes = _sources(kit, homes=True)
    broken = [text for text in notes(kit.planned, kit.seeds) if "complete (" in text]
    return {
        "runs": len(kit.runs),
        "complete": sum(run.complete for run in kit.runs),
        "policies": len(kit.planned.labels),
        "cases": len(kit.planned.cases),
        "seeds": len(kit.planned.seeds),
        "scenarios": _scenarios(kit),
        "prices": "; ".join(_sources(kit, homes=False)) or "no month could be built",
        "homes": "; ".join(homes) or "generated with the seed: fleet, load, solar, trips and wishes",
        "people": "Homes were brought by the authors: consent and anonymity **[fill in]**." if homes else "No.",
        "missing": " ".join(broken) or "Every planned run is complete.",
    }


def _card(kit: Kit) -> dict[str, object]:
    rows = {run.label: run for run in kit.runs}
    lines = ["| policy | as called | sees | consent | verdict | what it is |", "|---|---|---|---|---|---|"]
    for label, run in rows.items():
        cells = [run.origin.policy.spec, run.info.information.name, run.info.consent.value, run.verdict]
        text = " | ".join(cell.replace("|", "\\|") for cell in [*cells, run.info.description])
        lines.append(f"| {label} | {text} |")
    said = caveats(kit.seeds[0]) if len(kit.seeds) == 1 else notes(kit.planned, kit.seeds)
    return {
        "policies": "\n".join(lines),
        "units": len(kit.seeds),
        "version": kit.manifest["packages"]["vpp-env"] or "of a checkout",
        "market": ", ".join(sorted({run.origin.scenario.market_version for run in kit.runs})),
        "caveats": _bullets(said),
    }


def _reproduce(kit: Kit, paths: Sequence[Path]) -> dict[str, object]:
    m = kit.manifest
    git = m["git"] or {}
    commit = f"commit `{git['commit']}`{' with changes that are in no commit' if git['dirty'] else ''}" if git else ""
    packages = {name: version for name, version in m["packages"].items() if version}
    files = {path: sha for run in kit.runs for path, sha in run.origin.prices.files_sha256.items()}
    files |= {path: sha for run in kit.runs for path, sha in run.origin.homes.files_sha256.items()}
    digests = [
        f"`{path.relative_to(kit.folder).as_posix()}` {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in paths
        if path.is_file()
    ]
    return {
        "code": commit or f"the installed version {packages.get('vpp-env', '')}",
        "created": m["created_utc"],
        "python": m["python"],
        "platform": m["platform"],
        "cpus": m["cpus"],
        "command": command_line(m["command"]),
        "folder": kit.folder.name,
        "scenarios": _scenarios(kit),
        "data": _bullets(
            [*_sources(kit, homes=False), *(f"`{Path(p).name}` SHA-256 {sha}" for p, sha in files.items())]
        ),
        "packages": _bullets(f"{name} {version}" for name, version in packages.items()),
        "pins": " ".join(f"{name}=={version}" for name, version in packages.items() if name != "vpp-env"),
        "digests": _bullets(digests),
    }


def command_line(argv: Sequence[str]) -> str:
    """Return a command as it is typed anywhere: no path of this machine before its last part."""
    program, *rest = argv
    head = f"python benchmarks/{Path(program).name}" if program.endswith(".py") else Path(program).name
    return " ".join([head, *(shlex.quote(Path(x).name if Path(x).is_absolute() else x) for x in rest)])
