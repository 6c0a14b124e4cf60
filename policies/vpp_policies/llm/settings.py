"""What is known of providers and models before they are asked: `models.toml`, and keys from the environment."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from vpp_env.errors import DataError, PolicyError, UnknownNameError, did_you_mean
from vpp_policies.llm.ledger import Price

NUMBERS = ("usd_per_mtok_in", "usd_per_mtok_out", "requests_per_minute", "tokens_per_minute")
ENV_FILE = ".env"
MOST = 1e12
"""No price or rate is larger."""


@dataclass(frozen=True)
class Settings:
    """One provider and one of its models."""

    provider: str
    model: str
    price: Price
    requests_per_minute: float = float("inf")
    tokens_per_minute: float = float("inf")
    keys: tuple[str, ...] = ()  # environment variables, the first that is set is taken
    base_url: str | None = None
    concurrency: int = 1  # calls side by side that it takes well
    omit: tuple[str, ...] = ()  # parameters that the model is known to refuse
    effort: str = ""  # reasoning_effort, where the model has one
    thinking: int | None = None  # tokens that it may think, of those of an answer


def load_settings(provider: str, models: str | None = None, model: str = "") -> Settings:
    """Read one provider's section of `models.toml`, or of a file of the same form, and one model's part of it.

    Parameters
    ----------
    provider : str
        The section.
    models : str, optional
        A file of one's own.
    model : str
        Model id; empty: the section's own. An id that is not listed has the prices of the section.

    Raises
    ------
    UnknownNameError
        When there is no such section.
    DataError
        When the file cannot be read, lacks a field, or has a value that cannot be.
    """
    name = f"models file {models!r}" if models else "models.toml"
    try:
        text = (
            Path(models).read_text("utf-8") if models else files(__package__).joinpath("models.toml").read_text("utf-8")
        )
        table: dict[str, Any] = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{name} cannot be read: {error}") from error
    if provider not in table:
        raise UnknownNameError(did_you_mean(provider, table, "provider", "They are sections of models.toml."))
    try:
        row = dict(table[provider])
        model = model or str(row["model"])
        row |= row.pop("models", {}).get(model, {})
        numbers = {k: float(row[k]) for k in NUMBERS}
        wrong = [f"{k} = {v}" for k, v in numbers.items() if not 0.0 <= v <= MOST]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}; allowed are numbers from 0 to {MOST:g}")
        concurrency = int(row.get("concurrency", 1))
        if not 1 <= concurrency <= MOST:
            raise ValueError(f"concurrency = {concurrency}; allowed are whole numbers from 1 to {MOST:g}")
        return Settings(
            provider=provider,
            model=model,
            price=Price(numbers["usd_per_mtok_in"], numbers["usd_per_mtok_out"]),
            requests_per_minute=numbers["requests_per_minute"],
            tokens_per_minute=numbers["tokens_per_minute"],
            keys=_names(row, "keys"),
            base_url=row.get("base_url"),
            concurrency=concurrency,
            omit=_names({"omit": [], **row}, "omit"),
            effort=str(row.get("effort", "")),
        )
    except KeyError as error:
        raise DataError(f"{name}: section [{provider}] has no {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{name}: section [{provider}]: {error}") from error


def _names(row: dict[str, Any], field: str) -> tuple[str, ...]:
    """Names that a field lists."""
    found = row[field]
    if not isinstance(found, list) or not all(isinstance(n, str) and n.isprintable() and n for n in found):
        raise ValueError(f'{field} = {str(found)[:100]!r}; allowed is a list of names, as in {field} = ["NAME"]')
    return tuple(found)


def secret(names: tuple[str, ...], required: bool = True) -> str | None:
    """Return the first key that is set in the environment, else in `.env` of the working directory.

    Raises
    ------
    PolicyError
        When none is set and one is required, or it cannot be one. The message names variables, never values.
    """
    stored = _env_file(Path(ENV_FILE))
    for name in names:
        value = (os.environ.get(name) or stored.get(name) or "").strip()
        if value and not (value.isascii() and value.isprintable()):
            raise PolicyError(f"{name} holds characters that no key has; copy it again")
        if value:
            return value
    if required:
        raise PolicyError(f"no key: set {' or '.join(names)} in the environment or in a file {ENV_FILE}")
    return None


def _env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines; quotes and `export` are taken off, comments left out."""
    if not path.is_file():
        return {}
    out: dict[str, str] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); allowed are lines NAME=value, as UTF-8 text") from error
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            out[name.strip()] = value.strip().strip("'\"")
    return out
