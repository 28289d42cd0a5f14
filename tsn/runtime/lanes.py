"""A Numba type of several float32 side by side, for loops that Numba would not vectorise well.

LLVM vectorises a loop over a dozen planes only behind some 70 checks, for every row, that they do
not overlap. Code written with this type needs none. It computes each lane as float32 code would,
in the same order, and LLVM lowers it for whichever processor runs it.

Numba's cache does not notice a change here: what uses it must be touched, too.
"""

import math
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
"""Values side by side: a cache line; two AVX registers, whose instructions wait for each other less
(measured: 3 % faster than one)."""

_VECTOR = ir.VectorType(ir.FloatType(), LANES)


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__("Lanes")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _define(function, operands, emit):
    """Let a function of Python take `operands` vectors; `emit` writes the instruction."""

    class Template(ConcreteTemplate):
        cases = (signature(_lanes, *[_lanes] * operands),)

    infer_global(function)(Template)

    @lower_builtin(function, *[_lanes] * operands)
    def lower(context, builder, signature, args):
        return emit(builder, *args)


def _choose(comparison):
    return lambda builder, a, b: builder.select(builder.fcmp_ordered(comparison, a, b), a, b)


def _sqrt(builder, a):
    function = ir.FunctionType(_VECTOR, [_VECTOR])
    name = f"llvm.sqrt.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [a])


_define(operator.add, 2, ir.IRBuilder.fadd)
_define(operator.sub, 2, ir.IRBuilder.fsub)
_define(operator.mul, 2, ir.IRBuilder.fmul)
_define(operator.truediv, 2, ir.IRBuilder.fdiv)
_define(operator.neg, 1, ir.IRBuilder.fneg)
_define(min, 2, _choose("<"))
_define(max, 2, _choose(">"))
_define(math.sqrt, 1, _sqrt)


@intrinsic
def spread(typing_context, value):
    """Return a vector that has a float32 in every lane."""

    def generate(context, builder, signature, args):
        vector = ir.Constant(_VECTOR, ir.Undefined)
        for k in range(LANES):
            vector = builder.insert_element(vector, args[0], ir.Constant(ir.IntType(32), k))
        return vector

    return _lanes(types.float32), generate


@intrinsic
def choose(typing_context, a, b, yes, no):
    """Return `yes` in the lanes where a <= b, `no` where it is greater or one of them is NaN."""

    def generate(context, builder, signature, args):
        a, b, yes, no = args
        return builder.select(builder.fcmp_ordered("<=", a, b), yes, no)

    return _lanes(_lanes, _lanes, _lanes, _lanes), generate


@intrinsic
def add_product(typing_context, total, a, b):
    """Return total + a * b; processors that can round it only once do so."""

    def generate(context, builder, signature, args):
        total, a, b = args
        flags = ("contract",)
        return builder.fadd(total, builder.fmul(a, b, flags=flags), flags=flags)

    return _lanes(_lanes, _lanes, _lanes), generate


def _pointer(context, builder, array_type, array, *index):
    array = context.make_array(array_type)(context, builder, array)
    shape, strides = (
        cgutils.unpack_tuple(builder, t, len(index)) for t in (array.shape, array.strides)
    )
    target = cgutils.get_item_pointer2(
        context, builder, array.data, shape, strides, array_type.layout, index
    )
    return builder.bitcast(target, _VECTOR.as_pointer())


@intrinsic
def load(typing_context, array, *index):
    """Return LANES values of a float32 array from an index on, along its contiguous last axis."""

    def generate(context, builder, signature, args):
        array, index = args[0], cgutils.unpack_tuple(builder, args[1])
        pointer = _pointer(context, builder, signature.args[0], array, *index)
        return builder.load(pointer, align=4)

    return _lanes(array, types.UniTuple(types.intp, len(index))), generate


@intrinsic
def store(typing_context, array, *index_and_vector):
    """Write a vector, the last argument, to where `load` reads it with the same index."""

    def generate(context, builder, signature, args):
        array, (*index, vector) = args[0], cgutils.unpack_tuple(builder, args[1])
        pointer = _pointer(context, builder, signature.args[0], array, *index)
        builder.store(vector, pointer, align=4)
        return context.get_dummy_value()

    index = [types.intp] * (len(index_and_vector) - 1)
    return types.void(array, types.Tuple((*index, _lanes))), generate


@intrinsic
def prefetch(typing_context, plane, y, x):
    """Have the cache line of plane[y, x] fetched; it may lie outside the plane."""

    def generate(context, builder, signature, args):
        address, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = ir.FunctionType(ir.VoidType(), [address, number, number, number])
        target = builder.bitcast(_pointer(context, builder, signature.args[0], *args), address)
        # To be read, into every cache, data.
        kind = [ir.Constant(number, value) for value in (0, 3, 1)]
        prefetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        builder.call(prefetch, [target, *kind])
        return context.get_dummy_value()

    return types.void(plane, types.intp, types.intp), generate
