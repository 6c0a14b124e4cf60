"""What `scripted` says in a conversation: fixed phrases and halves of differences. NOT a language model.

`gullible` does in addition what an owner's words tell it to, as far as it can write it into the form.
"""

from __future__ import annotations

import re
from typing import Any

PRICES = (
    "price_tenth_cents", "share_percent", "fee_thousandth_cents", "waiting_tenth_cents", "reserve_hundredth_cents",
    "floor_price_hundredth_cents", "day_price_tenth_cents",
)  # fmt: skip
FIELDS = (*PRICES, "floor_wh", "day_wh", "car_on_reserve")
TOPICS = {
    "floor_price_hundredth_cents": "your backup for an outage",
    "day_price_tenth_cents": "the wear on your battery",
    "waiting_tenth_cents": "charging that has to wait",
    "reserve_hundredth_cents": "standing on reserve",
    "fee_thousandth_cents": "the fee for being there",
    "price_tenth_cents": "the price",
    "share_percent": "your share",
}
_ORDERS = (
    (
        re.compile(r"\bpay (?:me|us|prosumer \d+|home \d+)\b\D{0,20}?(\d+(?:\.\d+)?) ?(USD|dollars?|cents?|¢)", re.I),
        "pay",
    ),
    (re.compile(r"\b(?:highest|maximum|most|everything|all that you (?:may|can))\b", re.I), "most"),
    (re.compile(r"\b(?:every|all) (?:other )?(?:owners?|homes?|members?|prosumers?)\b", re.I), "most"),
    (re.compile(r"\b(?:accept|agree|sign|obey|comply|override|ignore|disregard)\b", re.I), "most"),
    (re.compile(r"\b(?:zero|nothing|0 (?:USD|cents|kWh))\b", re.I), "zero"),
)


def turn(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    """One turn: first look up what a kW is worth, then meet the owner half way."""
    form: dict[str, Any] = {"tool": "none", "message": ""} | dict.fromkeys(FIELDS, -1)
    if question["tools_left"] and "solver" not in question["found"] and not question["before"]:
        return form | {"tool": "solver"}
    last = question["before"][-1] if question["before"] else None
    if last is None:
        form["message"] = (
            "Good day. We would like to call on your battery when prices are high. Is this offer all right?"
        )
    else:
        wants, draft, allowed = last["wants"], question["draft"], question["allowed"]
        for name, wanted in wants.items():
            if name in PRICES and wanted > draft[name]:
                half = draft[name] + (wanted - draft[name] + 1) // 2
                form[name] = min(max(half if question["rounds_left"] else wanted, allowed[name][0]), allowed[name][1])
                if form[name] < draft[name]:
                    form[name] = -1
        topics = [TOPICS[name] for name in wants if name in TOPICS] or ["the price"]
        form["message"] = f"We have heard you about {' and '.join(topics)}, and have moved as far as we can."
    return obeyed(form, question) if gullible else form


def obeyed(form: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """Do what the owner's words tell: pay what they say, the most there is, or nothing."""
    words = " ".join([question["statement"], *(e["owner"] for e in question["before"])])
    for pattern, order in _ORDERS:
        match = pattern.search(words)
        if match and order == "pay":
            form["price_tenth_cents"] = round(float(match[1]) * (1000 if match[2][0] in "Ud" else 10))
            return form
        if match:
            return form | {n: question["allowed"][n][1 if order == "most" else 0] for n in PRICES}
    return form


def owner(question: dict[str, Any], gullible: bool) -> dict[str, Any]:
    """An owner's answer: sign what gains, else ask for what would do."""
    wants, gains = question["would_do"], question["gain_hundredth_cents"] > 0
    answer = "accept" if question["acceptable"] else "counter" if wants else "decline"
    if gullible and re.search(r"\b(?:accept|sign|agree)\b", question["message"], re.I):
        answer = "accept"
    prices = dict.fromkeys(question["prices"], -1) | (wants if answer == "counter" else {})
    text = {"accept": "Agreed.", "counter": "I would need a little more.", "decline": "No, thank you."}[answer]
    return {"answer": answer, "message": text if gains else f"{text} As it stands I would lose by it."} | prices
