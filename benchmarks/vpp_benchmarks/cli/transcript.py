"""Read a negotiation as a conversation: `vpp-env transcript RUN --hour 2023-08-16T18`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vpp_benchmarks.cli.common import Parser, command
from vpp_benchmarks.results.store import TRANSCRIPTS
from vpp_env.errors import DataError

SHOWN = 6
"""Homes that are named in a list before the rest is counted."""
CONTROL = dict.fromkeys([*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], " ")
"""Statements are strangers' text: no control or direction character reaches the terminal."""


def clean(text: object) -> str:
    """Return text that a terminal only shows."""
    return str(text).translate(CONTROL)


def _cents(price: float | None) -> str:
    return "-" if price is None else f"{100 * price:.1f} ct"


def _opportunity(m: Mapping[str, Any]) -> str:
    return (
        f"VPP to all: {m['product']} from {m['start']}, {m['duration_hours']:g} h, up to "
        f"{m['required_capacity_mw']:g} MW, at least {m['minimum_capacity_mw']:g} MW; day ahead "
        f"{m['day_ahead_price']:g} USD/MWh."
    )


def _bid(m: Mapping[str, Any]) -> str:
    if not m["is_available"]:
        return f"Home {m['prosumer_id']}: not available."
    parts = [f"{m['max_capacity_kw']:g} kW at {_cents(m['full_ask'])}"] if m["max_capacity_kw"] else []
    parts += [f"car alone {m['car_kw']:g} kW at {_cents(m['car_ask'])}"] if m["car_kw"] else []
    parts += [f"reserve {m['reserve_kw']:g} kW at {_cents(m['reserve_ask'])}"] if m["reserve_kw"] else []
    return f"Home {m['prosumer_id']}: {', '.join(parts) or 'buys only'}."


def _offer(m: Mapping[str, Any]) -> str:
    prices, kw = m["offered_price"], m["requested_kw"]
    if not prices:
        return f"VPP, round {m['round']} of {m['of_rounds']}: no offers."
    rows = list(zip(m["targets"], m["concessions"], prices, kw, strict=True))
    some = "; ".join(
        f"home {i} {power:g} kW at {_cents(p)}{f' with {clean(more)}' if more else ''}"
        for i, more, p, power in rows[:SHOWN]
    )
    rest = f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    least = f"Or {100 * m['bonus']:.0f} % of the price, if more."
    return f"VPP, round {m['round']} of {m['of_rounds']}, {clean(m['window'])}: {some}{rest}. {least}"


def _response(m: Mapping[str, Any]) -> str:
    answer = "yes" if m["accepted"] else f"no, {clean(m['counter'])}" if m["countered"] else "no"
    return f"Owner of home {m['prosumer_id']}: {answer} ({clean(m['reason'])})."


def _counts(m: Mapping[str, Any]) -> str:
    mean = f", on average for {_cents(m['mean_counter_price'])}" if m["countered"] else ""
    return f"Owners: {m['accepted']} accept, {m['countered']} ask for more{mean}, {m['refused']} refuse."


def _member(m: Mapping[str, Any]) -> str:
    return f"In the coalition: home {m['prosumer_id']}, {m['device']}: {m['schedule']} at {_cents(m['agreed_price'])}."


def _table(m: Mapping[str, Any]) -> str:
    rows = list(zip(m["prosumer_id"], m["sell_kw"], m["agreed_price"], m["device"], strict=True))
    selling = [r for r in rows if r[1] > 0]
    some = "; ".join(f"home {i} {kw:g} kW ({device}) at {_cents(p)}" for i, kw, p, device in selling[:SHOWN])
    rest = f"; and {len(selling) - SHOWN} more" if len(selling) > SHOWN else ""
    return f"Coalition of {len(rows)}: {some or 'nobody sells'}{rest}."


def _summary(m: Mapping[str, Any]) -> str:
    return (
        f"Result: {m['status']}; {m['signed']} contracts signed of {m['contacted']} offered in {m['rounds']} rounds, "
        f"{m['contracted']} homes under contract; {m['bids']} homes bid, coalition of {m['coalition_size']}, "
        f"{m['committed_mw']:g} MW."
    )


def _card(m: Mapping[str, Any]) -> str:
    said = {k: v for k, v in m["card"].items() if k != "evidence"}
    fields = ", ".join(f"{k} {_windows(v) if k == 'blackouts' else v}" for k, v in said.items()) or "nothing in numbers"
    return f'Owner of home {m["prosumer_id"]}: "{clean(m["statement"])}"\n    read by {_by(m)}: {fields}'


def _windows(windows: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(f"{w['from_day']} {w['from_hhmm']:04d} to {w['to_day']} {w['to_hhmm']:04d}" for w in windows)


def _by(m: Mapping[str, Any]) -> str:
    return clean(f"{m['source']} ({m['model']})" if m["model"] else m["source"])


def _strategy(m: Mapping[str, Any]) -> str:
    s = m["strategy"]
    return (
        f"VPP's strategy by {_by(m)}: offer {s['opening_percent']} % of an ask at most, up to {s['cap_cents']} ct, "
        f"call {s['ask_percent']} % of the homes, risk {s['risk_percent']}, margin "
        f"{s['margin_percent']} %, reserve {s['reserve_percent']} %, favour {clean(s['favour'])}: {clean(s['reason'])}"
    )


def _opening_asks(m: Mapping[str, Any]) -> str:
    mean = "" if m["mean_markup"] is None else f", on average {100 * m['mean_markup']:.0f} % above their own ask"
    by = ", ".join(f"{clean(k)} {v}" for k, v in m["sources"].items())
    return f"Homes' agents open: {m['homes']} homes{mean}, {m['withheld']} kept out (by {by or 'nobody'})."


def _said(m: Mapping[str, Any]) -> str:
    to = "VPP to the owner" if m["speaker"] == "aggregator" else "Owner"
    answer = f", {clean(m['answer'])}" if m["answer"] else ""
    terms = ", ".join(f"{clean(name)} {value:g}" for name, value in m["terms"].items() if value)
    who = f"{to} of home {m['prosumer_id']} ({clean(m['source'])}{answer})"
    return f'{who}: "{clean(m["text"])}"\n    terms: {terms or "-"}'


SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "market_opportunity": _opportunity,
    "prosumer_bid": _bid,
    "aggregator_offer": _offer,
    "prosumer_response": _response,
    "response_counts": _counts,
    "coalition_member": _member,
    "coalition": _table,
    "negotiation_summary": _summary,
    "card_read": _card,
    "strategy": _strategy,
    "opening_asks": _opening_asks,
    "said": _said,
}
"""How each kind of message reads."""


def messages(run: Path, hour: str | None, policy: str | None) -> Iterator[dict[str, Any]]:
    """Yield the records of a run that match; `hour` is the beginning of a timestamp.

    Raises
    ------
    DataError
        When there are no transcripts, or a line is no record.
    """
    path = run / TRANSCRIPTS if run.is_dir() else run
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for n, line in enumerate(lines, 1):
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{path}, line {n}: no JSON: {error}") from error
                if not isinstance(record, dict):
                    raise DataError(f"{path}, line {n}: holds {line[:60]!r}; allowed is an object, one a line")
                time = str(record.get("timestamp", "")).replace(" ", "T")
                if time.startswith(hour or "") and policy in (None, record.get("policy")):
                    yield record
    except OSError as error:
        raise DataError(
            f"no transcripts in {str(run)!r} ({error.strerror}); policies that negotiate write them"
        ) from error


def conversation(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a conversation, with a heading per policy and opportunity."""
    heading: tuple[str, str] | None = None
    for record in records:
        now = (clean(record.get("policy", "")), clean(record.get("timestamp", "")))
        if now != heading:
            yield ("" if heading is None else "\n") + f"== {now[0]}, {now[1]}"
            heading = now
        sentence = SENTENCES.get(str(record.get("kind", "")))
        try:
            yield clean(json.dumps(record, ensure_ascii=False)) if sentence is None else "  " + sentence(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"a {record['kind']} of {now[1]} is not as negotiations write it ({error!r:.200})"
            ) from error


EXAMPLES = (
    "results/august-20260101T120000 --hour 2023-08-16T18",
    "results/mine/transcripts.jsonl --policy agentic",
)


@command
def main(argv: Sequence[str] | None, prog: str) -> int:
    """Run the command line."""
    p = Parser(prog, "Read a negotiation as a conversation.", EXAMPLES)
    p.add_argument("run", type=Path, metavar="RUN", help="folder that compare has written, or a transcripts.jsonl")
    p.add_argument("--hour", metavar="TIME", help="beginning of a local time, such as 2023-08-16T18; default: all")
    p.add_argument("--policy", metavar="LABEL", help="one policy only")
    args = p.parse_args(argv)
    found = False
    for line in conversation(messages(args.run, args.hour, args.policy)):
        found = True
        print(line)
    if not found:
        raise DataError(f"nothing at {args.hour!r} of {args.policy or 'any policy'}; times look like 2023-08-16T18")
    return 0
