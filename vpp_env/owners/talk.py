"""Owners who talk: what one is told, what it says, and what its words can do. They bind nobody; typed terms do.

An owner whose brain has a *speaker* is spoken to where an offer comes with a message. The speaker is told what this
owner knows and no other's: its own arithmetic, the offer, the words so far. It answers in words, and accepts, counters
with prices, or declines. Code holds it to that:

- what the owner's own arithmetic finds physically impossible (`Reason.LIMIT`) is never asked about: no words sign it;
- a counter-offer names prices; quantities stay as they were offered. A price that is no number in its range is refused,
  and the arithmetic's answer stands: nothing is clipped in silence, all is counted (`Talk.counts`);
- text is cut to `MOST_WORDS` characters, without control characters.

What a speaker accepts against the owner's own arithmetic is signed, and counted as regret. A speaker is any object with
`answer`; scripted ones are in `personas`, a language model's is injected by name: `llm('module:name', option=...)`.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vpp_env.contract.named import named, returned
from vpp_env.contract.speech import MOST_WORDS, SPOKEN, Heard, Line, Speaker, Speech, Verdict
from vpp_env.contract.terms import TERMS, Offers, Reason, Window
from vpp_env.errors import ScenarioError, printable
from vpp_env.owners.arithmetic import Judgement
from vpp_env.units import Flags, Floats, Ints

REMEMBERED = 6
"""Things said by either side that an owner remembers [assumed]."""
SAME = 1e-9


def tidy_words(text: object, most: int = MOST_WORDS) -> str:
    """Return words in one line: no control or direction characters, no half characters, at most `most`."""
    words = printable(str(text)[: 4 * most], " ").strip()
    return words if len(words) <= most else words[: most - 3] + "..."


@runtime_checkable
class Talks(Protocol):
    """A brain with a speaker."""

    speaker: Speaker

    def factor(self, round: int, of_rounds: int) -> float:
        """See `brains.Brain`."""
        ...


class Talk:
    """The talking owners of M months of N homes: who is spoken to, what is said, and what is made of it.

    Parameters
    ----------
    brains : sequence
        Of the mixture.
    of_home : ndarray
        (M, N) index into `brains`.
    """

    def __init__(self, brains: Sequence[object], of_home: Ints) -> None:
        self._speakers = [brain.speaker if isinstance(brain, Talks) else None for brain in brains]
        self._of_home = np.asarray(of_home).ravel()
        self.talks: Flags = np.array([s is not None for s in self._speakers], dtype=np.bool_)[self._of_home]
        self.reset()

    def reset(self) -> None:
        """Begin a month: nothing has been said."""
        self.past: dict[int, deque[Line]] = {}
        self.counts: Counter[str] = Counter()  # spoken, accepted, refused_terms, silent, held_out
        self.regret_usd = 0.0

    def spoken_to(self, offers: Sequence[Offers | None], n: int) -> dict[int, str]:
        """Return row of M*N -> words, of the talking owners that a message was written to."""
        told: dict[int, str] = {}
        for month, offer in enumerate(offers):
            for home, text in (offer.messages or {}).items() if offer is not None else ():
                row = month * n + home
                if self.talks[row] and (words := tidy_words(text)):
                    told[row] = words
        return told

    def over(
        self,
        judged: Judgement,
        truth: Judgement,
        told: Mapping[int, str],
        at: tuple[int, Sequence[int], int],
        offered: tuple[Floats, Ints],
    ) -> tuple[Judgement, dict[int, str]]:
        """Let those who were spoken to answer; everybody else's answer stays as it was judged, to the bit.

        Parameters
        ----------
        judged, truth : Judgement
            By what the owners claim, and by their true values.
        told : mapping
            Row -> words.
        at : tuple
            Opportunity that is bid for, round of each month, rounds of a gate.
        offered : tuple
            (15, H) terms and (H,) windows.
        """
        rows = [row for row in told if judged.reason[row] in (Reason.AGREED, Reason.PRICE)]
        if not rows:
            return judged, {}
        (first, rounds, of_rounds), (terms, window) = at, offered
        n = len(self._of_home) // len(rounds)
        heard = [
            Heard(
                home=row % n,
                opportunity=first,
                round=rounds[row // n],
                of_rounds=of_rounds,
                window=Window(int(window[row])),
                message=told[row],
                offered={name: float(terms[k, row]) for k, name in enumerate(TERMS)},
                gain_usd=float(truth.gain_usd[row]),
                truth=_verdict(truth, terms, row),
                claimed=_verdict(judged, terms, row),
                past=tuple(self.past.get(row, ())),
            )
            for row in rows
        ]
        accepted, countered, reason = judged.accepted.copy(), judged.countered.copy(), judged.reason.copy()
        said, words = judged.terms.copy(), dict[int, str]()
        for row, h, speech in zip(rows, heard, self._speak(rows, heard), strict=True):
            self.counts["spoken"] += 1
            self._remember(row, Line("aggregator", h.message))
            if speech is None:
                self.counts["silent"] += 1
                continue
            if text := tidy_words(speech.text):
                words[row] = text
                self._remember(row, Line("owner", text))
            prices = _checked(speech)
            if prices is None:
                self.counts["refused_terms"] += 1
                continue
            accepted[row] = speech.answer == "accept"
            countered[row] = speech.answer == "counter"
            reason[row] = Reason.AGREED if accepted[row] else Reason.PRICE
            said[:, row] = terms[:, row]
            if accepted[row]:
                self.counts["accepted"] += 1
                self.regret_usd += max(-h.gain_usd, 0.0)
            elif h.truth.accepts:
                self.counts["held_out"] += 1
            for name, price in prices.items():
                said[TERMS.index(name), row] = price
        return judged._replace(accepted=accepted, countered=countered, reason=reason, terms=said), words

    def _speak(self, rows: Sequence[int], heard: Sequence[Heard]) -> list[Speech | None]:
        """Ask every speaker once, for all of its owners."""
        out: list[Speech | None] = [None] * len(rows)
        for k, speaker in enumerate(self._speakers):
            mine = [j for j, row in enumerate(rows) if self._of_home[row] == k]
            if speaker is not None and mine:
                for j, speech in zip(mine, speaker.answer([heard[j] for j in mine]), strict=True):
                    out[j] = speech
        return out

    def _remember(self, row: int, line: Line) -> None:
        self.past.setdefault(row, deque(maxlen=REMEMBERED)).append(line)


def _verdict(judged: Judgement, terms: Floats, row: int) -> Verdict:
    wants = {}
    if judged.countered[row]:
        for name in SPOKEN:
            k = TERMS.index(name)
            if abs(judged.terms[k, row] - terms[k, row]) > SAME:
                wants[name] = float(judged.terms[k, row])
    return Verdict(bool(judged.accepted[row]), wants)


def _checked(speech: Speech) -> Mapping[str, float] | None:
    """Prices of a counter-offer; None where an answer is none, or a price is no number in its range."""
    if speech.answer not in ("accept", "counter", "decline") or (speech.answer == "counter") != bool(speech.prices):
        return None
    for name, price in speech.prices.items():
        number = isinstance(price, int | float) and not isinstance(price, bool) and math.isfinite(price)
        if name not in SPOKEN or not number or not 0.0 <= price <= SPOKEN[name]:
            return None
    return speech.prices


def named_speaker(name: str, options: Mapping[str, Any]) -> Speaker:
    """Return the speaker that `module:name` names: a class with `answer`, or a function that says `-> Speaker`.

    Nothing else is called: a name in a file is data.

    Raises
    ------
    UnknownNameError
        When it cannot be imported.
    ScenarioError
        When it is no speaker, or does not take the options.
    """
    remedy = "write module:name of a class with answer(heard), or of a function that returns one (`-> Speaker`)"
    found = named(name, "speaker")
    if not _makes_speaker(found):
        raise ScenarioError(f"speaker {name!r} is none, and was not called; {remedy}")
    try:
        made = found(**options)
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"speaker {name!r} cannot be built: {error}") from error
    if not isinstance(made, Speaker):
        raise ScenarioError(f"speaker {name!r} made a {type(made).__name__}; {remedy}")
    return made


def _makes_speaker(found: Callable[..., Any]) -> bool:
    if isinstance(found, type):
        return callable(getattr(found, "answer", None))
    return inspect.isfunction(found) and returned(found) is Speaker
