"""The owner's arithmetic once more, for one owner, slot by slot, in plain Python: written from docs/owners.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OPPORTUNITY = 0


@dataclass
class Owner:
    """One owner: what it is, has and wants, and what it expects of prices."""

    facts: dict[str, Any]  # by the names of `Situation`
    da: list[float]  # day-ahead price of each cell
    surprise: list[float]
    weight: list[float]
    cells: dict[int, int]  # of each window
    hours: float
    eta: float
    margin: float
    usual_share: float
    call_hours: float
    reserve: bool

    def slots(self, window: int) -> list[tuple[float, float]]:
        """(price, hours) of everything that may happen, the dearest first."""
        made = [
            (price + s, w * self.hours)
            for price in self.da[: self.cells[window]]
            for s, w in zip(self.surprise, self.weight, strict=True)
        ]
        return sorted(made, reverse=True)

    def storage(self, window: int, floor: float, day: float, kw: float, waived: bool) -> tuple[float, float]:
        """(kW, kWh) that battery and V2G can give."""
        f = self.facts
        if window == OPPORTUNITY and f["blackout"] and not waived:
            return 0.0, 0.0
        held = f["soc_kwh"] if window == OPPORTUNITY else f["max_kwh"]
        given = f["discharged_kwh"] if window == OPPORTUNITY else 0.0
        least, most = max(min(floor, f["floor_kwh"]), f["min_kwh"]), max(day, f["day_kwh"])
        kwh = max(min((held - least) * self.eta, most - given), 0.0)
        power = (f["bess_kw"] if kwh > 0 else 0.0) + f["v2g_kw"]
        return min(power, kw), kwh + f["v2g_kw"] * self.hours

    def stored(self, window: int, kw: float, kwh: float, price: float, share: float, factor: float) -> float:
        """What storage brings, slot by slot."""
        usd, left = 0.0, kwh
        if kw <= 0 or kwh <= 0:
            return 0.0
        for lmp, hours in self.slots(window):
            if lmp < price * (1 + self.margin) - 1e-12:
                continue
            sold = min(kw * hours, left)
            left -= sold
            usd += sold * (max(price, share * lmp) - factor * self.facts["cost"])
            usd -= factor * self.facts["hassle_value"] * sold / kw
        return usd

    def waited(self, window: int, kw: float, price: float, share: float, factor: float) -> float:
        """What charging that waits brings, cell by cell."""
        usd = 0.0
        for c in range(self.cells[window]):
            for s, w in zip(self.surprise, self.weight, strict=True):
                lmp = self.da[c] + s
                if lmp >= price * (1 + self.margin) - 1e-12:
                    kwh = min(self.facts["waits_kw"][c], kw) * w * self.hours
                    usd += kwh * (max(price, share * lmp) - factor * self.facts["back"])
        return usd

    def outside(self, window: int) -> float:
        """What it earns without a contract."""
        f = self.facts
        kw, kwh = self.storage(window, f["floor_kwh"], f["day_kwh"], f["device_kw"], False)
        dark = window == OPPORTUNITY and f["blackout"]
        sold = self.stored(window, kw, kwh, f["own_ask"], self.usual_share, 1.0)
        put_off = self.waited(window, 0.0 if dark else f["device_kw"], f["defer_ask"], self.usual_share, 1.0)
        return max(sold, 0.0) + max(put_off, 0.0)

    def gain(self, window: int, terms: dict[str, float], factor: float = 1.0) -> float:
        """What a contract is worth more than none, by costs that are `factor` times the true ones."""
        waived = terms["blackout"] > 0.5
        kw, kwh = self.storage(window, terms["floor_kwh"], terms["day_kwh"], terms["kw"], waived)
        dark = window == OPPORTUNITY and self.facts["blackout"] and not waived
        usd = self.stored(window, kw, kwh, terms["price"], terms["share"], factor)
        usd += self.waited(window, 0.0 if dark else terms["kw"], terms["defer_price"], terms["share"], factor)
        usd += terms["availability"] * terms["kw"] * self.cells[window] * self.hours
        return usd - self.outside(window)

    def values(self, terms: dict[str, float], factor: float = 1.0) -> dict[str, float]:
        """Least price of each concession that these terms ask for."""
        f, asked = self.facts, {}
        if f["bess_kw"] > 0 and terms["floor_kwh"] < f["floor_kwh"] - 1e-6:
            asked["floor_price"] = f["floor_value"]
        if f["ev_kwh"] > 0 and terms["target_kwh"] < f["target_kwh"] - 1e-6:
            asked["car_price"] = f["car_value"]
        if f["bess_kw"] > 0 and terms["day_kwh"] > f["day_kwh"] + 1e-6:
            asked["overuse_price"] = f["overuse_value"]
        if f["windows"] and terms["blackout"] == 1.0:
            asked["blackout_price"] = f["blackout_value"]
        if self.reserve and f["device_kw"] > 0:
            asked["reserve_price"] = f["standby_value"] + self.call_hours * f["cost"]
        return {name: factor * value for name, value in asked.items()}

    def impossible(self, terms: dict[str, float]) -> bool:
        """Whether the terms ask for what cannot be."""
        f = self.facts
        battery = f["bess_kw"] > 0 and not f["min_kwh"] - 1e-6 <= terms["floor_kwh"] <= f["max_kwh"] + 1e-6
        car = f["ev_kwh"] > 0 and not f["ev_min_kwh"] - 1e-6 <= terms["target_kwh"] <= f["ev_kwh"] + 1e-6
        return terms["kw"] > f["device_kw"] + 1e-6 or battery or car
