"""From a name to a model in its wrappers.

Front( Repair( Recorded( Breaker( Retry( Metered( SideBySide( RateLimit( adapter ))))))))
and of a cassette   Front( Repair( Metered( Replay )))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from vpp_env.errors import PolicyError, UnknownNameError, did_you_mean
from vpp_policies.llm.cassette import Recorded, Replay, Tape
from vpp_policies.llm.chat import ChatModel
from vpp_policies.llm.foreign import is_langchain, named_model
from vpp_policies.llm.langchain import LangChain
from vpp_policies.llm.layer import Front, SideBySide
from vpp_policies.llm.ledger import Ledger, Price
from vpp_policies.llm.settings import Settings, load_settings, secret
from vpp_policies.llm.wrappers import Breaker, Metered, RateLimit, Repair, Retry


def _gemini(s: Settings) -> ChatModel:
    from vpp_policies.llm.gemini import Gemini

    return Gemini(s.model, secret(s.keys) or "", s.base_url, s.thinking, s.omit)


def _gemini_legacy(s: Settings) -> ChatModel:
    from vpp_policies.llm.gemini_legacy import GeminiLegacy

    return GeminiLegacy(s.model, secret(s.keys) or "", s.base_url)


def _openai(s: Settings) -> ChatModel:
    from vpp_policies.llm.openai_compatible import OpenAICompatible

    if s.base_url is None:
        raise PolicyError("llm='openai' needs an address: base_url='http://localhost:11434/v1'")
    # with room for thoughts a model thinks as it does by itself
    return OpenAICompatible(s.model, s.base_url, secret(s.keys, required=False), s.omit, "" if s.thinking else s.effort)


def _litellm(s: Settings) -> ChatModel:
    from vpp_policies.llm.litellm_client import LiteLLM

    return LiteLLM(s.model, s.base_url, s.thinking, "" if s.thinking else s.effort)


def _scripted(s: Settings) -> ChatModel:
    from vpp_policies.llm.scripted import Scripted

    return Scripted(s.model, gullible=s.provider == "gullible")


ADAPTERS: dict[str, Callable[[Settings], ChatModel]] = {
    "gemini": _gemini,
    "gemini_legacy": _gemini_legacy,
    "openai": _openai,
    "litellm": _litellm,
    "scripted": _scripted,
    "gullible": _scripted,
}
"""Who can be asked. `scripted` and `gullible` are programs, not language models; see `scripted`."""
THINKERS = ("gemini", "openai", "litellm")
"""Those that can be given room for thoughts."""
MOST_THINKING = 100_000
MOST_WAIT_S, MOST_ATTEMPTS = 86_400.0, 100
"""Longest wait for one call, and most attempts at it [assumed]."""
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
        One of `NAMES`; `module:name` of a chat model of LangChain, of a `ChatModel`, of a class of either, or of a
        function that says that it returns one; or such an object.
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
    thinking : int or None
        Tokens that a reasoning model may think beside each answer; None: it is not spoken of.
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
    thinking: int | None = None

    def __post_init__(self) -> None:
        if is_langchain(self.llm):
            object.__setattr__(self, "llm", LangChain(self.llm))
        if isinstance(self.llm, str):
            if self.llm not in NAMES and ":" not in self.llm:
                remedy = "Or give module:name of a chat model of your own."
                raise UnknownNameError(did_you_mean(self.llm, NAMES, "llm", remedy))
        elif not callable(getattr(self.llm, "complete", None)):
            raise PolicyError(f"llm: got a {type(self.llm).__name__}; allowed is a name, a ChatModel, or LangChain's")
        # what means nothing to this llm is refused, not ignored
        who = repr(self.llm) if isinstance(self.llm, str) else "a model object"
        unused = [] if self.is_provider else ["model", "models", "base_url"]
        unused += ["concurrency"] if self.is_replay else []
        wrong = [name for name in unused if getattr(self, name)] + ["strict"] * (not self.strict and not self.is_replay)
        wrong += ["thinking"] * (self.thinking is not None and self.llm not in THINKERS)
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
        if self.thinking is not None and not 0 <= self.thinking <= MOST_THINKING:
            raise PolicyError(f"thinking: got {self.thinking}; allowed is 0 to {MOST_THINKING} tokens, or None")
        at = urlsplit(self.base_url)
        if self.base_url and not (at.scheme in ("http", "https") and at.hostname):
            raise PolicyError(
                f"base_url: got {self.base_url!r}; allowed is an address such as http://localhost:11434/v1"
            )
        if at.username or at.password or at.query:
            raise PolicyError(
                f"base_url: the address of {at.hostname} holds a name, a password or a query, and options are written "
                "into results; allowed is an address without, and the key in the environment"
            )
        if not 0 < self.timeout_s <= MOST_WAIT_S:
            raise PolicyError(f"timeout_s: got {self.timeout_s}; allowed is above 0, up to {MOST_WAIT_S:g}")
        if not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise PolicyError(f"attempts: got {self.attempts}; allowed is 1 to {MOST_ATTEMPTS}")

    @property
    def is_replay(self) -> bool:
        """Whether nobody is asked."""
        return self.llm == REPLAY

    @property
    def is_provider(self) -> bool:
        """Whether a section of `models.toml` is asked."""
        return isinstance(self.llm, str) and self.llm in ADAPTERS


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


def adapter_of(options: LlmOptions) -> tuple[ChatModel, Settings]:
    """Return who is asked, without any wrapper, and what is known of it.

    A model that is no provider's of ours has no limits but its own, and may have a `price`; without one it is free.

    Raises
    ------
    PolicyError
        When a package, a key or an address is missing, or what was named is no model.
    UnknownNameError
        When it cannot be imported.
    """
    if isinstance(options.llm, str) and options.llm in ADAPTERS:
        base = load_settings(options.llm, options.models or None, options.model)
        settings = replace(base, base_url=options.base_url or base.base_url, thinking=options.thinking)
        return ADAPTERS[options.llm](settings), settings
    model = named_model(options.llm) if isinstance(options.llm, str) else options.llm
    return model, Settings(model.provider, model.model, getattr(model, "price", Price()))


def price_of(options: LlmOptions) -> Price:
    """Return what tokens cost: of a cassette, what they cost when it was recorded."""
    if options.is_provider:
        return load_settings(str(options.llm), options.models or None, options.model).price
    if not options.is_replay:
        return adapter_of(options)[1].price
    tape = Tape(Path(options.cassette) if options.cassette else shipped(), record=False)
    try:
        return _recorded_price(tape)
    finally:
        tape.close()


def _recorded_price(tape: Tape) -> Price:
    return Price(tape.number("usd_per_mtok_in"), tape.number("usd_per_mtok_out"))


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
        metered = Metered(Replay(tape, options.strict), ledger, usd, calls)
        return Stack(Front(Repair(metered, ledger), int(tape.number("thinking"))), ledger, tape)
    adapter, settings = adapter_of(options)
    ledger = Ledger(settings.price)
    stops, thinking = options.fallback == "stop", options.thinking or 0
    limited = RateLimit(adapter, settings.requests_per_minute, settings.tokens_per_minute)
    metered = Metered(SideBySide(limited, options.concurrency or settings.concurrency, stops), ledger, usd, calls)
    model: ChatModel = Breaker(Retry(metered, ledger, options.attempts), stops=stops)
    if not options.cassette:
        return Stack(Front(Repair(model, ledger), thinking, stops), ledger)
    tape = Tape(Path(options.cassette), record=True)
    tape.describe(
        provider=adapter.provider,
        model=adapter.model,
        usd_per_mtok_in=str(settings.price.tokens_in),
        usd_per_mtok_out=str(settings.price.tokens_out),
        made_by=getattr(adapter, "nature", "a model behind an API"),
        **({"thinking": str(thinking)} if thinking else {}),
    )
    return Stack(Front(Repair(Recorded(model, tape), ledger), thinking, stops), ledger, tape)
