"""The devices and preferences of homes: a table with a row a home -> what is known of a fleet before it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd

from vpp_env.errors import DataError, did_you_mean
from vpp_env.traces.fleet import BLACKOUT_FIELDS, EV_PRIORITIES, PROFILES, Fleet
from vpp_env.traces.readers.check import is_empty, numbers, shown
from vpp_env.traces.readers.names import HOME_COLUMNS, home_name, lower, pick
from vpp_env.units import Floats, Ints

SESSIONS_OF = "sessions_of"
"""Column that names a home's user in the table of sessions, where it has another name there."""
FLAGS = ("has_bess", "has_ev", "has_pv")
"""Whether there is such a device, of a size that is drawn."""
WORDS = {"profile": PROFILES, "ev_priority": EV_PRIORITIES}
"""Columns that may hold words; the number is the place of the word."""
COLUMNS = (*(f.name for f in fields(Fleet) if f.name != "blackout"), *BLACKOUT_FIELDS, *FLAGS)
"""Columns that are known, beside the home's name: the fields of `Fleet`, in its units."""
ALIASES = {"battery_kwh": "bess_kwh", "battery_kw": "bess_kw", "car_kwh": "ev_kwh", "car_kw": "ev_kw"}
INTEGERS = ("orientation", "profile", "ev_priority", "ready_minutes", *BLACKOUT_FIELDS)
_YES, _NO = ("yes", "true", "1", "1.0"), ("no", "false", "0", "0.0")


def read_devices(table: pd.DataFrame, path: Path) -> tuple[list[str], dict[str, Floats], dict[str, str]]:
    """Read a table of devices.

    Returns
    -------
    tuple
        The homes' names in order; what is known of them (field -> (N,), NaN where a cell is empty); home -> name in
        the table of sessions.

    Raises
    ------
    DataError
        When a column is not known, a home is there twice, or a cell is no value of its column.
    """
    where = path.name
    if table.empty:
        raise DataError(f"{where}: no data rows; give a row for each home, or leave the file out")
    home = pick(table, HOME_COLUMNS, "the name of each home", where)
    names = [home_name(str(name), where) for name in table[home]]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"{where}: home {twice[0]!r} is there {names.count(twice[0])} times; give one row for each home"
        )
    rows = np.arange(1, len(table) + 1)
    known: dict[str, Floats] = {}
    users: dict[str, str] = {}
    for plain, column in lower(table).items():
        if column == home:
            continue
        if plain == SESSIONS_OF:
            users = {
                name: home_name(str(value), where)
                for name, value in zip(names, table[column], strict=True)
                if not is_empty(value)
            }
            continue
        field = ALIASES.get(plain, plain)
        if field not in COLUMNS:
            raise DataError(
                f"{where}: {did_you_mean(plain, [*COLUMNS, *ALIASES, SESSIONS_OF], 'column')} Delete it, or see"
                " docs/home-data.md"
            )
        if field in known:
            raise DataError(f"{where}: {field} is there twice ({column} is another name of it); keep one of them")
        known[field] = _cells(table[column], field, str(column), rows, where)
    shared = [user for user in set(users.values()) if list(users.values()).count(user) > 1]
    if shared:
        raise DataError(f"{where}: {SESSIONS_OF} {shared[0]!r} is there more than once; a car is at one home")
    return names, known, users


def _cells(values: pd.Series, field: str, column: str, rows: Ints, where: str) -> Floats:
    """(N,) float64 of one column; NaN where a cell is empty."""
    words: Sequence[str] = WORDS.get(field, ())
    if field in FLAGS:
        text = values.astype(str).str.strip().str.lower()
        empty = values.map(is_empty).to_numpy(dtype=np.bool_)
        yes, no = text.isin(_YES).to_numpy(), text.isin(_NO).to_numpy()
        bad = ~(yes | no | empty)
        if bad.any():
            i = int(np.argmax(bad))
            raise DataError(
                f"{where}, row {rows[i]}: {column} is {shown(values.iloc[i])}; allowed are yes, no, or nothing"
            )
        return np.where(empty, np.nan, yes.astype(np.float64))
    if words:
        text = values.astype(str).str.strip().str.lower()
        values = text.replace({word: str(i) for i, word in enumerate(words)})
        wrong = ~(values.isin([str(i) for i in range(len(words))]) | values.map(is_empty))
        if wrong.any():
            i = int(np.argmax(wrong))
            told = did_you_mean(str(text.iloc[i]), words, column)
            raise DataError(f"{where}, row {rows[i]}: {told} Or leave it empty: then it is drawn")
    made = numbers(values, rows, where, column, "give a number, or leave it empty: then it is drawn", gaps=True)
    if field in INTEGERS and not (np.isnan(made) | (made == np.round(made)) & (np.abs(made) < 1e6)).all():
        i = int(np.argmin(np.isnan(made) | (made == np.round(made)) & (np.abs(made) < 1e6)))
        raise DataError(
            f"{where}, row {rows[i]}: {column} is {shown(values.iloc[i])}; allowed is a whole number, or nothing"
        )
    return made
