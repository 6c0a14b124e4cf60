"""Configuration of providers, and keys from the environment or `.env`."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from vpp_env.errors import DataError, PolicyError, UnknownNameError, did_you_mean
from vpp_policies.llm.ledger import Price

ENV_FILE = ".env"


@dataclass(frozen=True)
class Settings:
    """One provider."""

    provider: str
    model: str
    price: Price
    requests_per_minute: float
    tokens_per_minute: float
    keys: tuple[str, ...]  # environment variables, the first that is set is taken
    base_url: str | None = None


def load_settings(provider: str, models: str | None = None) -> Settings:
    """Read one provider's section of `models.toml`, or of a file of the same form.

    Raises
    ------
    UnknownNameError
        When there is no such section.
    DataError
        When the file cannot be read, or lacks a field.
    """
    try:
        text = (
            Path(models).read_text("utf-8") if models else files(__package__).joinpath("models.toml").read_text("utf-8")
        )
        table: dict[str, dict[str, Any]] = tomllib.loads(text)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"models file {models!r} cannot be read: {error}") from error
    if provider not in table:
        raise UnknownNameError(did_you_mean(provider, table, "provider", "They are sections of models.toml."))
    row = table[provider]
    try:
        return Settings(
            provider=provider,
            model=str(row["model"]),
            price=Price(float(row["usd_per_mtok_in"]), float(row["usd_per_mtok_out"])),
            requests_per_minute=float(row["requests_per_minute"]),
            tokens_per_minute=float(row["tokens_per_minute"]),
            keys=tuple(row["keys"]),
            base_url=row.get("base_url"),
        )
    except KeyError as error:
        raise DataError(f"models file {models!r}: section [{provider}] has no {error}") from error


def secret(names: tuple[str, ...], required: bool = True) -> str | None:
    """Return the first key that is set in the environment, else in `.env` of the working directory.

    Raises
    ------
    PolicyError
        When none is set and one is required. The message names variables, never values.
    """
    stored = _env_file(Path(ENV_FILE))
    for name in names:
        value = os.environ.get(name) or stored.get(name)
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
    for line in path.read_text("utf-8").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            out[name.strip()] = value.strip().strip("'\"")
    return out
