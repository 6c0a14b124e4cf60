"""Compiled kernels, cached on disk by the content of the whole package.

Numba keys a cached function by the file that defines it: an edited callee, or an edited constant of another module,
would leave stale machine code in its callers (it did: a changed device function was not seen by the compiled
opportunity). Here the cache lies in a folder named by a hash of the package's sources: any edit or upgrade compiles
anew. A kernel is compiled by one process: another that needs it waits and finds it in the cache. Processes that need
different ones compile side by side.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import math
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import _dispatcher
from numba.core import cgutils, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.sigutils import normalize_signature
from numba.core.typed_passes import AnnotateTypes
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

try:
    import fcntl
except ImportError:  # not on Windows: there every process compiles for itself
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., object])


@cache
def cache_dir(caller: Path | None = None) -> str | None:
    """Folder of the compiled kernels of this state of the sources; None where no folder at all can be written.

    In `NUMBA_CACHE_DIR` where that is set, beside the package, in the user's cache folder where the package cannot be
    written, or among the temporary files where that cannot be written either. `caller` is the folder of another package
    that defines kernels of its own: its sources count too.
    """
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for folder in (root,) if caller is None else (root, caller):
        for source in sorted(folder.rglob("*.py")):
            digest.update(source.relative_to(folder).as_posix().encode() + b"\0" + source.read_bytes())
    name = f"vpp_env-{digest.hexdigest()[:16]}"
    set_by_user = os.environ.get("NUMBA_CACHE_DIR")
    if set_by_user:
        return str(Path(set_by_user) / name)
    base = _base(root)
    return None if base is None else str(base / name)


@cache
def _base(root: Path) -> Path | None:
    """Folder that the kernels' folders of a package at `root` lie in: the first that can be written."""
    if _writable(beside := root / "__pycache__"):
        return beside
    # a read-only installation; a folder of the user's own, since machine code is loaded from it
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vpp_env"
    except RuntimeError:  # a container's user that has no home
        return _temporary()
    return home if _writable(home) else _temporary()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _temporary() -> Path | None:
    """Return this user's folder among the temporary files, and say so when it is made; None where there can be none."""
    why = "neither the package nor the home folder can be written"
    try:
        # the same in every process, so that kernels are compiled once
        folder = Path(tempfile.gettempdir()) / f"vpp_env-{getattr(os, 'getuid', lambda: 'kernels')()}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and (
                not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
            ):
                return folder
            folder = Path(tempfile.mkdtemp(prefix="vpp_env-"))  # others may write that one: no code is loaded from it
    except OSError:
        log.warning("kernels are compiled again in every process: %s, nor a temporary one; set NUMBA_CACHE_DIR", why)
        return None
    log.warning("compiled kernels are kept in %s: %s; NUMBA_CACHE_DIR names another", folder, why)
    return folder


def _package_of(function: Callable[..., object]) -> Path | None:
    """Folder of the top-level package that defines `function`; None for our own, and for code in no package."""
    top = sys.modules.get(function.__module__.partition(".")[0])
    if top is None or not getattr(top, "__path__", None) or top.__name__ == __name__.partition(".")[0]:
        return None
    return Path(next(iter(top.__path__)))


class _Part(JITCodeLibrary):
    """Code that kernels link: it is optimised and turned into machine code there, not here as well.

    Numba does both with every function, and again with all that it calls: a third of the time until `play` is ready.
    """

    def _optimize_final_module(self) -> None:
        """Leave that to the kernel."""

    def _finalize_final_module(self) -> None:
        """Hand the engine what Numba looks for there, and of functions no machine code."""
        whole = self._final_module
        self._final_module = whole.clone()
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.linkage = "available_externally"
        super()._finalize_final_module()
        self._final_module = whole


@register_pass(mutates_CFG=False, analysis_only=True)
class _IsPart(AnalysisPass):
    """Says where the code of a function goes to, before there is any."""

    _name = "is_part"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        """Nothing of the function changes."""
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


class _PartCompiler(CompilerBase):
    """Numba's own steps, for what becomes part of a kernel."""

    def define_pipelines(self) -> list[Any]:
        """See Numba's `CompilerBase`."""
        steps = DefaultPassBuilder.define_nopython_pipeline(self.state)
        steps.add_pass_after(_IsPart, AnnotateTypes)
        steps.finalize()
        return [steps]


def kernel(function: F) -> F:
    """Compile `function` with Numba at its first call; no fastmath, so that the bits are those of plain arithmetic.

    It runs without the interpreter's lock: threads play months side by side.

    Parameters
    ----------
    function : callable
        Of scalars, arrays and named tuples of them; no NumPy calls that allocate.

    Returns
    -------
    callable
        The compiled function.
    """
    return _compiled(function, cache=True, nogil=True)


def borrowing(function: F) -> F:
    """Compile a `kernel` that makes no array and returns none: it works on its caller's and counts no references.

    Counting them takes as long as the arithmetic where small functions of arrays are called in a loop. An array that is
    made in it is a compiler's error.
    """
    return _compiled(function, cache=True, nogil=True, _nrt=False)


def internal(function: F) -> F:
    """Compile a `borrowing` kernel that kernels alone call: what a call from Python needs is left out.

    For structs of a hundred arrays that takes seconds to compile. Unlike `inlined` it is in a kernel once, however
    often and deep it is called.
    """
    return _part(function, nogil=True)


def inlined(function: F) -> F:
    """Compile a function of one home: the same as `kernel`, and always part of the loop that calls it.

    Such a function gets and returns NamedTuples of numbers. Inlined, they never exist in memory. It allocates nothing
    and calls no NumPy, so that the same source can be compiled for a GPU; from Python its plain form is `.py_func`.
    A division by zero is not looked for (as on a GPU; the branches cost a tenth of the time): the function has to
    guard what may be zero.

    Arrays are lent to it: it does not count that it holds them (counting took up to six sevenths of the time), so it
    may take views of them, and must not return any.
    """
    return _part(function, forceinline=True, error_model="numpy")


def _part(function: F, **options: Any) -> F:
    """Compile a function that only kernels call. It is not cached: what is cached is the kernel.

    It is compiled once for all numbers of a type that are written into calls of it, where Numba would for each of
    them: a kernel that has it inlined knows the number anyway.
    """
    made: Any = _compiled(function, pipeline_class=_PartCompiler, no_cpython_wrapper=True, _nrt=False, **options)
    config: Any = numba.config
    if not config.DISABLE_JIT:
        compile_it = made.compile

        def compiled(signature: Any) -> Any:
            """Compile, and refuse what would give back an array that nobody counts."""
            given = tuple(types.unliteral(x) for x in normalize_signature(signature)[0])
            entry = compile_it(given)
            if _holds_array(made.overloads[given].signature.return_type):
                name = f"{function.__module__}.{function.__qualname__}"
                raise TypeError(f"{name} is part of kernels and returns an array; allowed are numbers, or @kernel")
            return entry

        made.compile = compiled
    return cast(F, made)


def _holds_array(found: Any) -> bool:
    """Whether a compiled type is an array or a tuple with one in it."""
    return isinstance(found, types.Array) or any(_holds_array(t) for t in getattr(found, "types", ()))


def steady(function: F) -> F:
    """Return a `kernel` for one caller, who calls it again and again with arguments laid out alike: typed only once.

    Numba types every array of every call, which takes as long as the work on dozens of homes. Here an argument that is
    the last call's own needs no look, of another one Numba's fingerprint (its nesting, and of every array dtype,
    dimensions, order in memory and whether it may be written) has to be the last call's; or else the kernel is called
    as ever. For one thread at a time; what was passed last is held until the next call.
    """
    config: Any = numba.config
    return function if config.DISABLE_JIT else cast(F, _Steady(function))


class _Steady:
    """See `steady`."""

    def __init__(self, made: Any) -> None:
        self._kernel, self._entry = made, made
        self._entries = _ENTRIES.setdefault(made, {})
        self._last: list[Any] = []
        self._layouts: list[bytes] = []

    def __call__(self, *arguments: Any) -> Any:
        last, layouts = self._last, self._layouts
        if len(last) != len(arguments):
            return self._typed(arguments)
        for j, given in enumerate(arguments):
            if given is not last[j]:
                if _dispatcher.compute_fingerprint(given) != layouts[j]:
                    return self._typed(arguments)
                last[j] = given
        return self._entry(*arguments)

    def __reduce__(self) -> tuple[type[_Steady], tuple[Any]]:
        """Of a copy, also in another process, nothing is known yet: machine code cannot be sent."""
        return _Steady, (self._kernel,)

    def _typed(self, arguments: tuple[Any, ...]) -> Any:
        self._last = []  # nothing is known of them unless the call succeeds
        self._layouts = [_dispatcher.compute_fingerprint(x) for x in arguments]
        key = tuple(self._layouts)
        if key in self._entries:
            self._entry = self._entries[key]
            result = self._entry(*arguments)
        else:
            result = self._kernel(*arguments)
            types_of = tuple(self._kernel.typeof_pyval(x) for x in arguments)
            self._entry = self._entries[key] = self._kernel.overloads[types_of].entry_point
        self._last = list(arguments)
        return result


_ENTRIES: dict[Any, dict[tuple[bytes, ...], Any]] = {}
"""Kernel -> layouts of its arguments -> machine code: for all callers, since to type them takes a millisecond."""


def _compiled(function: F, **options: Any) -> F:
    config: Any = numba.config
    before = config.CACHE_DIR
    folder = cache_dir(_package_of(function))
    if folder is None:
        options.pop("cache", None)
    else:
        config.CACHE_DIR = folder  # read when the function is decorated
    try:
        # nothing calls kernels from C: without that wrapper they compile a tenth sooner
        compiler: Any = numba.njit
        made = compiler(no_cfunc_wrapper=True, **options)(function)
    finally:
        config.CACHE_DIR = before
    if folder is not None and "cache" in options and not config.DISABLE_JIT:
        compile_it, save = made.compile, made._cache.save_overload
        name = f"{function.__module__}.{function.__qualname__}"

        def once(signature: Any) -> Any:
            """Load the kernel from the cache, or compile it: whoever waited for the lock finds it there."""
            # the compiler's own lock first, as everywhere: two threads cannot wait for each other; nor can two
            # processes, since a kernel that is compiled inside another one never calls that one
            with global_compiler_lock, _alone(folder, f"{name}{signature}"), _no_collection():
                return compile_it(signature)

        def save_alone(signature: Any, data: Any) -> None:
            """Save one variant of a kernel: all variants share an index file."""
            with _alone(folder, name):
                save(signature, data)

        made.compile, made._cache.save_overload = once, save_alone
    return cast(F, made)


@contextmanager
def _alone(folder: str, what: str) -> Iterator[None]:
    """Wait until no other process is at the same; without a lock where the cache folder cannot be written."""
    if fcntl is None:
        yield
        return
    try:
        locks = Path(folder) / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        file = (locks / hashlib.sha256(what.encode()).hexdigest()[:16]).open("w")
    except OSError:  # a cache that is only read
        yield
        return
    with file:  # closing it gives the lock back, and so does a process that dies
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave the collector of garbage out: a compiler makes millions of objects, and it took an eighth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@inlined
def at(array: Any, i: int) -> Any:
    """Element i of an array; None of None: code for what is not there is never compiled."""
    if array is None:
        return None
    return array[i]


@inlined
def at_most(x: Any, limit: Any) -> Any:
    """The smaller of `x` and a limit; `x` where the limit is None."""
    if limit is None:
        return x
    return min(x, limit)


@inlined
def either(x: Any, other: Any) -> Any:
    """`x`, or `other` where it is None."""
    if x is None:
        return other
    return x


@inlined
def is_set(flag: Any) -> bool:
    """Whether a flag is above 0; None is not."""
    if flag is None:
        return False
    return bool(flag > 0.0)


@inlined
def floor(x: float) -> int:
    """Largest whole number that is not above `x`; on a GPU `math.floor` is a float."""
    return int(math.floor(x))  # noqa: RUF046


@inlined
def unsigned(i: int) -> int:
    """An index that is not negative, of a type that cannot be: the compiler then sees rows of elements in a row.

    Of a signed one it asks each time whether it counts from the end. Never mix the two in a sum: that is a float.
    """
    return np.uint64(i)  # type: ignore[return-value]


class Crew(NamedTuple):
    """Who runs through a loop over homes, `for i in range(crew.first(), n, crew.stride())`.

    On the CPU one runs through them all (`ALONE`); on a GPU the threads of a block do, which take the homes in turns.
    `crew.add_up(a, b, c, crew)` are the sums over the crew, `crew.sum_and_top(found, top, crew)` a sum and the highest:
    whole numbers, the same to all, and each waits there for all.
    """

    first: Callable[[], int]  # functions, as a compiler takes what they return for the constant that it is
    stride: Callable[[], int]
    room: Any  # where they tell each other; None on the CPU
    add_up: Callable[[int, int, int, Any], tuple[int, int, int]]
    sum_and_top: Callable[[int, int, Any], tuple[int, int]]


@inlined
def _three(a: int, b: int, c: int, crew: Any) -> tuple[int, int, int]:
    """What the only one has found."""
    return a, b, c


@inlined
def _two(found: int, top: int, crew: Any) -> tuple[int, int]:
    """What the only one has found."""
    return found, top


@inlined
def _nought() -> int:
    return 0


@inlined
def _one() -> int:
    return 1


ALONE = Crew(_nought, _one, None, _three, _two)

LANES = 8
"""Homes side by side: the numbers in a register of 512 bits."""


def on_stack(rows: int, columns: int, by_columns: bool = False) -> Callable[[], Any]:
    """Return a function for kernels that makes room of (rows, columns) float64 on the stack, for the caller's own use.

    The compiler knows that nothing else lies there: a loop that writes to such room alone can work on several elements
    at a time. By columns, the elements of a column lie side by side. What is in it is not defined, and it must neither
    be returned nor handed to a function that is not `inlined`.
    """
    config: Any = numba.config
    if config.DISABLE_JIT:
        return lambda: np.zeros((rows, columns))
    room = types.Array(types.float64, 2, "F" if by_columns else "C")

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.alloca_once(builder, ir.DoubleType(), size=rows * columns)
        data.align = 64
        apart = (8, 8 * rows) if by_columns else (8 * columns, 8)
        shape, strides = ([context.get_constant(types.intp, x) for x in pair] for pair in ((rows, columns), apart))
        array = context.make_array(room)(context, builder)
        size = context.get_constant(types.intp, 8)
        populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
        return array._getvalue()

    return cast(Callable[[], Any], intrinsic(lambda typing: (room(), made)))
