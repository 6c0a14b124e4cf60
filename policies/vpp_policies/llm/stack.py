"""From a name to a model in its wrappers.

Front( Repair( Recorded( Breaker( Retry( Metered( SideBySide( RateLimit( adapter ))))))))
and of a cassette   Front( Repair( Metered( Replay )))
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from vpp_env.errors import DataError, PolicyError, UnknownNameError, did_you_mean
from vpp_policies.llm.cassette import Recorded, Replay, Tape
from vpp_policies.llm.chat import ChatModel
from vpp_policies.llm.layer import Front, SideBySide
from vpp_policies.llm.ledger import Ledger, Price
from vpp_policies.llm.wrappers import Breaker, Metered, RateLimit, Repair, Retry

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
    concurrency: int = 1  # calls side by side that it takes well


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
            concurrency=int(row.get("concurrency", 1)),
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


def _gemini(s: Settings) -> ChatModel:
    from vpp_policies.llm.gemini import Gemini

    return Gemini(s.model, secret(s.keys) or "", s.base_url)


def _gemini_legacy(s: Settings) -> ChatModel:
    from vpp_policies.llm.gemini_legacy import GeminiLegacy

    return GeminiLegacy(s.model, secret(s.keys) or "", s.base_url)


def _openai(s: Settings) -> ChatModel:
    from vpp_policies.llm.openai_compatible import OpenAICompatible

    if s.base_url is None:
        raise PolicyError("llm='openai' needs an address: base_url='http://localhost:11434/v1'")
    return OpenAICompatible(s.model, s.base_url, secret(s.keys, required=False))


def _scripted(s: Settings) -> ChatModel:
    from vpp_policies.llm.scripted import Scripted

    return Scripted(s.model, gullible=s.provider == "gullible")


ADAPTERS: dict[str, Callable[[Settings], ChatModel]] = {
    "gemini": _gemini,
    "gemini_legacy": _gemini_legacy,
    "openai": _openai,
    "scripted": _scripted,
    "gullible": _scripted,
}
"""Who can be asked. `scripted` and `gullible` are programs, not language models; see `scripted`."""
REPLAY = "replay"
NAMES = (*ADAPTERS, REPLAY)
SHIPPED = "week20.sqlite"
FALLBACKS = ("stop", "rules")
MOST_CONCURRENT = 512
"""Threads at most, one a call under way [assumed: above it a process spends its time on threads]."""


@dataclass(frozen=True)
class LlmOptions:
    """How a model is reached; texts that are empty mean the configuration's own.

    Parameters
    ----------
    llm : str or ChatModel
        One of `NAMES`, or a model object.
    model, models, base_url : str
        Model id; a configuration file in the form of `models.toml`; address of the server.
    cassette : str
        File to replay from (`llm="replay"`; empty: the shipped one), or to record to.
    strict : bool
        Whether a replay that misses raises.
    budget_usd, max_calls : float, int or None
        Most that a month may spend; None for no limit.
    timeout_s, attempts : float, int
        Seconds per call, all in all; attempts per call.
    concurrency : int
        Calls of one batch side by side; results, ledger and cassette do not hang on it. 0: the configuration's own.
    fallback : str
        `stop`: a server that refuses to be asked (wrong key, unknown model) ends the run with its words; `rules`: rules
        decide then, as they do after every other failure.
    """

    llm: str | ChatModel = REPLAY
    model: str = ""
    models: str = ""
    base_url: str = ""
    cassette: str = ""
    strict: bool = True
    budget_usd: float | None = None
    max_calls: int | None = None
    timeout_s: float = 30.0
    attempts: int = 4
    concurrency: int = 0
    fallback: str = FALLBACKS[0]

    def __post_init__(self) -> None:
        if isinstance(self.llm, str) and self.llm not in NAMES:
            raise UnknownNameError(did_you_mean(self.llm, NAMES, "llm"))
        # what means nothing to this llm is refused, not ignored
        who = repr(self.llm) if isinstance(self.llm, str) else "a model object"
        unused = ["model", "models", "base_url"] if self.is_replay or not isinstance(self.llm, str) else []
        unused += ["concurrency"] if self.is_replay else []
        wrong = [name for name in unused if getattr(self, name)] + ["strict"] * (not self.strict and not self.is_replay)
        if wrong:
            raise PolicyError(f"llm={who}: got {', '.join(wrong)}, which does not apply; leave it out")
        for name in ("budget_usd", "max_calls"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise PolicyError(f"{name}: got {value}; allowed is 0 or more, or None for no limit")
        if self.fallback not in FALLBACKS:
            raise UnknownNameError(did_you_mean(self.fallback, FALLBACKS, "fallback"))
        if isinstance(self.concurrency, bool) or not 0 <= self.concurrency <= MOST_CONCURRENT:
            allowed = f"1 to {MOST_CONCURRENT}, or 0 for the configuration's own"
            raise PolicyError(f"concurrency: got {self.concurrency}; allowed is {allowed}")
        if not self.timeout_s > 0 or self.attempts < 1:
            raise PolicyError(f"timeout_s and attempts: got {self.timeout_s}, {self.attempts}; allowed is above 0")

    @property
    def is_replay(self) -> bool:
        """Whether nobody is asked."""
        return self.llm == REPLAY


@dataclass(frozen=True)
class Stack:
    """A model in its wrappers, and the ledger that they write."""

    model: ChatModel
    ledger: Ledger
    tape: Tape | None = None

    def close(self) -> None:
        """Close the cassette."""
        if self.tape is not None:
            self.tape.close()


def shipped() -> Path:
    """Return the cassette that comes with the package."""
    return Path(str(files("vpp_policies.llm").joinpath("cassettes", SHIPPED)))


def settings_of(options: LlmOptions) -> Settings:
    """Return the provider's configuration under the options; a model object has no limits, and may have a `price`."""
    if not isinstance(options.llm, str):
        inf = float("inf")
        price = getattr(options.llm, "price", Price())
        return Settings(options.llm.provider, options.llm.model, price, inf, inf, ())
    base = load_settings(options.llm, options.models or None)
    return replace(base, model=options.model or base.model, base_url=options.base_url or base.base_url)


def price_of(options: LlmOptions) -> Price:
    """Return what tokens cost: of a cassette, what they cost when it was recorded."""
    if not options.is_replay:
        return settings_of(options).price
    tape = Tape(Path(options.cassette) if options.cassette else shipped(), record=False)
    try:
        return _recorded_price(tape)
    finally:
        tape.close()


def _recorded_price(tape: Tape) -> Price:
    return Price(float(tape.meta.get("usd_per_mtok_in", 0.0)), float(tape.meta.get("usd_per_mtok_out", 0.0)))


def open_stack(options: LlmOptions) -> Stack:
    """Build the wrappers around a model.

    Raises
    ------
    PolicyError
        When a package, a key or an address is missing; the message says what to do.
    DataError
        When a cassette or a configuration cannot be read.
    """
    no_limit = float("inf")
    usd = no_limit if options.budget_usd is None else options.budget_usd
    calls = no_limit if options.max_calls is None else options.max_calls
    if options.is_replay:
        tape = Tape(Path(options.cassette) if options.cassette else shipped(), record=False)
        ledger = Ledger(_recorded_price(tape))
        return Stack(Front(Repair(Metered(Replay(tape, options.strict), ledger, usd, calls), ledger)), ledger, tape)
    settings = settings_of(options)
    adapter = ADAPTERS[options.llm](settings) if isinstance(options.llm, str) else options.llm
    ledger = Ledger(settings.price)
    stops = options.fallback == "stop"
    limited = RateLimit(adapter, settings.requests_per_minute, settings.tokens_per_minute)
    metered = Metered(SideBySide(limited, options.concurrency or settings.concurrency, stops), ledger, usd, calls)
    model: ChatModel = Breaker(Retry(metered, ledger, options.attempts), stops=stops)
    if not options.cassette:
        return Stack(Front(Repair(model, ledger), stops=stops), ledger)
    tape = Tape(Path(options.cassette), record=True)
    tape.describe(
        provider=adapter.provider,
        model=adapter.model,
        usd_per_mtok_in=str(settings.price.tokens_in),
        usd_per_mtok_out=str(settings.price.tokens_out),
        made_by=getattr(adapter, "nature", "a model behind an API"),
    )
    return Stack(Front(Repair(Recorded(model, tape), ledger), stops=stops), ledger, tape)
