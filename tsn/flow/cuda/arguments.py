"""What the kernels are given: the structures of the source, field by field."""

from ctypes import Structure, c_double, c_float, c_int, c_longlong, c_void_p


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
        ("source_item", c_longlong),
        ("target_item", c_longlong),
        ("rows", Axis),
        ("columns", Axis),
        ("control", c_void_p),
        ("planes", c_int),
        ("factor", c_float * 3),
    ]


class Pack(Structure):
    """Of `pack`: grey planes to grey values with gradients."""

    _fields_ = [("grey", c_void_p), ("packed", c_void_p), ("plane", Plane)]


class Warp(Structure):
    """Of `warp`: the second frames, moved by the flow, to the data term."""

    _fields_ = [
        ("first", c_void_p),
        ("second", c_void_p),
        ("state", c_void_p),
        ("data", c_void_p),
        ("control", c_void_p),
        ("plane", Plane),
    ]


class Iterate(Structure):
    """Of `iterate`."""

    _fields_ = [
        ("state", c_void_p),
        ("data", c_void_p),
        ("control", c_void_p),
        ("errors", c_void_p),
        ("plane", Plane),
        ("steps", c_int),
        ("step", c_float),
        ("theta", c_float),
        ("taut", c_float),
        ("gamma", c_float),
        ("threshold", c_double),
    ]


class Median(Structure):
    """Of `median`."""

    _fields_ = [("state", c_void_p), ("control", c_void_p), ("plane", Plane)]


class Store(Structure):
    """Of `store`: the finest level's flow to the result."""

    _fields_ = [
        ("state", c_void_p),
        ("control", c_void_p),
        ("flow", c_void_p),
        ("plane", Plane),
        ("bound", c_float),
        ("scale", c_float),
    ]


KERNELS = {
    "load": Load,
    "resize": Resize,
    "pack": Pack,
    "warp": Warp,
    "iterate": Iterate,
    "median": Median,
    "store": Store,
}
"""The arguments of every kernel."""
