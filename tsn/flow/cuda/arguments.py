"""The structures of the CUDA source, field by field: what the kernels are called with."""

from ctypes import Structure, c_double, c_float, c_int, c_uint, c_ulonglong, c_void_p


class Plane(Structure):
    """Size of the planes of a level."""

    _fields_ = [("height", c_int), ("width", c_int), ("stride", c_int)]


class Axis(Structure):
    """One axis of a linear resize."""

    _fields_ = [("first", c_void_p), ("second", c_void_p), ("weight", c_void_p)]


class Load(Structure):
    """Of `load`: frames to planes."""

    _fields_ = [("frames", c_void_p), ("grey", c_void_p), ("plane", Plane), ("is_float", c_int)]


class Resize(Structure):
    """Of `resize`: planes of one level to those of another."""

    _fields_ = [
        ("source", c_void_p),
        ("target", c_void_p),
        ("from_", Plane),
        ("to", Plane),
        ("rows", Axis),
        ("columns", Axis),
    ]


class Pack(Structure):
    """Of `pack`: grey planes to grey values with gradients."""

    _fields_ = [("grey", c_void_p), ("packed", c_void_p), ("plane", Plane)]


class Level(Structure):
    """A pyramid level."""

    _fields_ = [
        ("plane", Plane),
        ("across", c_int),
        ("tiles", c_int),
        ("grey", c_void_p),
        ("packed", c_void_p),
        ("state", c_void_p),
        ("data", c_void_p),
        ("rows", Axis),
        ("columns", Axis),
        ("threshold", c_double),
    ]


class Slot(Structure):
    """Where a pair in work stands, in device memory."""

    _fields_ = [
        ("ahead", c_int),
        ("stage", c_int),
        ("level", c_int),
        ("warps", c_int),
        ("rounds", c_int),
        ("iterations", c_int),
        ("side", c_int),
        ("look", c_int),
        ("redo", c_int),
        ("finished", c_uint),
    ]


class Queue(Structure):
    """Counters of the work queue, in device memory."""

    _fields_ = [
        ("taken", c_uint),
        ("appended", c_uint),
        ("begun", c_int),
        ("done", c_int),
        ("tiles", c_ulonglong),
        ("tile_steps", c_ulonglong),
        ("pixel_steps", c_ulonglong),
    ]


MOST_LEVELS = 32
"""Of a pyramid."""


class Solve(Structure):
    """Of `solve`."""

    _fields_ = [
        ("levels", Level * MOST_LEVELS),
        ("slots", c_void_p),
        ("queue", c_void_p),
        ("ring", c_void_p),
        ("errors", c_void_p),
        ("flow", c_void_p),
        ("clipped", c_void_p),
        ("finest", c_int),
        ("slot_count", c_int),
        ("pairs", c_int),
        ("capacity", c_int),
        ("most_tiles", c_int),
        ("apart", c_int),
        ("warps", c_int),
        ("rounds", c_int),
        ("iterations", c_int),
        ("median", c_int),
        ("step", c_float),
        ("theta", c_float),
        ("taut", c_float),
        ("gamma", c_float),
        ("growth", c_float),
        ("bound", c_float),
        ("scale", c_float),
    ]


KERNELS = {"load": Load, "resize": Resize, "pack": Pack, "solve": Solve}
"""The arguments of every kernel."""

IN_MEMORY = (Slot, Queue)
"""Structures that kernels find in device memory."""
