"""Shapes of what lies in device memory, told to a card's compiler.

A kernel gets its arrays with their shapes as numbers, and works out for each element where it lies. Once the compiler
knows them (only how many months there are stays open), rows of an array lie a known distance apart, and most of that
arithmetic is gone. So kernels are compiled for the shapes that they meet: another number of homes, or another length
of a run, takes a compilation of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, cast

import numba
from numba import cuda as numba_cuda

cuda: Any = numba_cuda


def simulated() -> bool:
    """Whether Numba's simulator stands for a GPU."""
    config: Any = numba.config
    return bool(config.ENABLE_CUDASIM)


def with_names(
    kernel: Callable[..., None], helpers: Sequence[Callable[..., object]], **names: object
) -> Callable[..., None]:
    """Return `kernel` with other values for global names that it reads: to a compiler they are constants.

    So read its `helpers`, functions of the kernel's module that it calls by name and that use `cuda`.
    """
    space = kernel.__globals__ | names
    for helper in helpers:
        made = FunctionType(helper.__code__, space, helper.__name__)
        # the simulator puts its own `cuda` into the kernel's names while a block runs: there a helper finds it too
        space[helper.__name__] = made if simulated() else cuda.jit(device=True)(made)
    again = FunctionType(kernel.__code__, space, kernel.__name__)
    again.__doc__ = kernel.__doc__
    return again


def known_shapes(arrays: Any) -> Callable[[Any], Any]:
    """Return a function for kernels that gives back a NamedTuple of arrays, whose shapes the compiler then knows.

    Parameters
    ----------
    arrays : NamedTuple
        Arrays in C order as the kernel will get them; the first dimension of each may be another one then.

    Raises
    ------
    ValueError
        When one is not in C order.
    """
    if not all(array.flags["C_CONTIGUOUS"] for array in arrays):
        raise ValueError("an array in device memory is not in C order; allowed are contiguous ones")
    shapes = [tuple(array.shape) for array in arrays]
    if simulated():
        return lambda given: given
    from numba.cuda import cgutils as found_cgutils  # type: ignore[attr-defined]
    from numba.cuda import types as found_types
    from numba.cuda.extending import intrinsic

    cgutils, types = cast(Any, found_cgutils), cast(Any, found_types)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = []
        for k, (kind, shape) in enumerate(zip(signature.return_type.types, shapes, strict=True)):
            array = context.make_array(kind)(context, builder, builder.extract_value(arguments[0], k))
            size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
            apart = [size]
            for length in shape[:0:-1]:
                apart.insert(0, apart[0] * length)
            dims = [builder.extract_value(array.shape, 0), *(context.get_constant(types.intp, x) for x in shape[1:])]
            array.shape = cgutils.pack_array(builder, dims)
            array.strides = cgutils.pack_array(builder, [context.get_constant(types.intp, x) for x in apart])
            made.append(array._getvalue())
        return context.make_tuple(builder, signature.return_type, made)

    known: Any = intrinsic(lambda typing, given: (given(given), code))
    return cast(Callable[[Any], Any], known)
