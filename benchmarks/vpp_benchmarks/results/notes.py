"""What must be said beside the headline figures, wherever they are shown: failed seeds, splits, kinds of prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpp_benchmarks.results.comparison import Planned
from vpp_benchmarks.results.run_result import NOT_RUN
from vpp_benchmarks.results.summary import SeedResult
from vpp_env.scenario.splits import not_of_test
from vpp_env.traces.readers.caiso import PASSED_OVER, WARNING

MOST_REASONS = 3
"""Failed units of a policy that are told one by one."""


def notes(planned: Planned, seeds: Sequence[SeedResult]) -> list[str]:
    """Return sentences, the gravest first."""
    return [
        *incomplete(planned, seeds),
        *unverified(planned, seeds),
        *(text for text in [not_of_test(planned.seeds)] if text),
        *(text for text in [prices_line(seeds), homes_line(seeds)] if text),
        *price_notes(seeds),
    ]


def completed(planned: Planned, seeds: Sequence[SeedResult]) -> dict[str, int]:
    """Return label -> how many of the planned units the policy completed."""
    return {label: sum(s.run(label).complete for s in seeds) for label in planned.labels}


def named(label: str, done: int, units: int) -> str:
    """Return a policy's name for a table; one that is not complete says so."""
    return label if done == units else f"{label} ({done} of {units} complete)"


def incomplete(planned: Planned, seeds: Sequence[SeedResult]) -> list[str]:
    """Return a line for every policy that did not complete all planned units, with the reasons."""
    lines, units = [], planned.units
    found = {(s.case, s.seed): s for s in seeds}
    for label, done in completed(planned, seeds).items():
        if done == len(units):
            continue
        why, never = [], 0
        for unit in units:
            run = found[unit].run(label) if unit in found else None
            if run is None or run.status == NOT_RUN:
                never += 1
            elif not run.complete:
                where = f"{unit[0]}, seed {unit[1]}" if len(planned.cases) > 1 else f"seed {unit[1]}"
                why.append(f"{where} {run.status}: {run.reason}")
        told = why[:MOST_REASONS] + ([f"{len(why) - MOST_REASONS} more"] if len(why) > MOST_REASONS else [])
        told += [f"{never} not begun"] if never else []
        text = f"{label}: {done} of {len(units)} {'runs' if len(units) > 1 else 'run'} complete ({'; '.join(told)})."
        if done:
            text += f" What is said of it is of these {done} alone, which is no figure of all {len(units)}."
        lines.append(text)
    return lines


def unverified(planned: Planned, seeds: Sequence[SeedResult]) -> list[str]:
    """Return a line for every policy that an audit looked at and did not verify, with what it found."""
    found = {label: [s.run(label).audit for s in seeds] for label in planned.labels}
    said = {label: [a.said for a in audits if a and a.because] for label, audits in found.items()}
    return [f"{label}: {'; '.join(dict.fromkeys(lines))}" for label, lines in said.items() if lines]


def prices_text(kinds: Mapping[str, str]) -> str:
    """Return `da measured, rt seeded, reserves seeded`; reserve products are told one by one where they differ."""
    told = dict(kinds)
    energy = {name: told.pop(name) for name in ("da", "rt") if name in told}
    if len(set(told.values())) == 1:
        told = {"reserves": next(iter(told.values()))}
    return ", ".join(f"{name} {kind}" for name, kind in (energy | told).items())


def prices_line(seeds: Sequence[SeedResult]) -> str:
    """Return the line on prices: per series, measured or seeded; empty where no month could be built."""
    texts: dict[str, list[str]] = {}
    for seed in seeds:
        text = prices_text(seed.price_kinds)
        if text and seed.case not in texts.setdefault(text, []):
            texts[text].append(seed.case)
    if len(texts) == 1:
        return f"prices: {next(iter(texts))}"
    return "; ".join(f"prices of {', '.join(cases)}: {text}" for text, cases in texts.items())


def price_notes(seeds: Sequence[SeedResult]) -> list[str]:
    """Return what the readers of prices were in doubt about, or passed over."""
    parts = [part for seed in seeds for text in seed.price_source.values() for part in text.split("; ")]
    return [f"prices: {part}" for part in dict.fromkeys(parts) if part.startswith((WARNING, PASSED_OVER))]


def homes_text(kinds: Mapping[str, str]) -> str:
    """Return `load measured, pv measured, vehicles generated, devices generated`."""
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())


def homes_line(seeds: Sequence[SeedResult]) -> str:
    """Return the line on homes that were brought: per series, measured or generated; empty where all is generated."""
    texts = dict.fromkeys(homes_text(seed.home_kinds) for seed in seeds if seed.home_kinds)
    return f"homes: {'; '.join(texts)}" if texts else ""
