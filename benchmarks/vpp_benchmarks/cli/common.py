"""What every command has: a parser with examples, and errors that answer in one line."""

from __future__ import annotations

import argparse
import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from vpp_env.errors import MOST_SHOWN, VppError, did_you_mean

_KINDS = {"int": "a whole number", "float": "a number"}
_WRONG_TYPE = re.compile(r"^argument (\S+): invalid (int|float) value: (.*)$", re.DOTALL)

Main = Callable[[Sequence[str] | None, str], int]


class Parser(argparse.ArgumentParser):
    """A parser that shows examples as they are typed, takes no abbreviations and names the nearest option."""

    def __init__(self, prog: str, description: str, examples: Sequence[str] = ()) -> None:
        lines = "".join(f"\n  {prog} {example}".rstrip() for example in examples)
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"examples:{lines}" if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """End with status 2; an unknown option is answered with the nearest known one."""
        # argparse says how it converts, and not what may be typed
        message = _WRONG_TYPE.sub(lambda m: f"{m[1]}: got {m[3]}; allowed is {_KINDS[m[2]]}", message)
        first, _, rest = message.partition(": ")
        option = rest.split()[0].partition("=")[0] if first == "unrecognized arguments" and rest else ""
        if option.startswith("--"):
            message = did_you_mean(option, [o for o in self._option_string_actions if o.startswith("--")], "option")
        self.exit(2, f"error: {message}\nSee {self.prog} --help.\n")


def check_npz(out: Path) -> None:
    """Raise `VppError` where this is no .npz file that can be written: known before what takes hours."""
    if out.suffix != ".npz" or not out.parent.is_dir():
        raise VppError(f"--out: got {out}; allowed is a file that ends in .npz, in a folder that exists")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise VppError(f"--out: got {out}, which cannot be written; allowed is a file in a folder of yours")


def command(main: Main) -> Callable[..., int]:
    """Turn what `main(argv, prog)` raises into one line and an exit status: 2 for errors, 130 for Ctrl-C."""

    @functools.wraps(main)
    def wrapped(argv: Sequence[str] | None = None, prog: str = "") -> int:
        try:
            for word in sys.argv[1:] if argv is None else argv:
                if "\0" in word:
                    raise VppError(f"got {word[:MOST_SHOWN]!r}; allowed is text without null bytes")
            return main(argv, prog or f"vpp-env {main.__module__.rpartition('.')[2]}")
        except BrokenPipeError:
            # who reads has enough (`| head`): nothing more is flushed at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (VppError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    return wrapped
