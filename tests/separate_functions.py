"""Functions that tests call in a process of their own, each with another end."""

from __future__ import annotations

import ctypes
import os
import sys
import time

import numpy as np

from warpprior.support.errors import InputError


def make_arrays(scale):
    """Arrays of several kinds."""
    return {
        "points": scale * np.arange(12.0).reshape(4, 3),
        "faces": np.arange(6, dtype=np.int64).reshape(3, 2)[:, ::-1],
        "none": np.zeros((0, 3), dtype=np.float32),
        "one": np.array(True),
    }


def return_arrays(scale):
    """Arrays, and what was imported; native code and others print meanwhile."""
    os.write(1, b"printed by native code\n")
    print("printed", file=sys.stderr)
    return make_arrays(scale), sorted(sys.modules)


def refuse():
    """What a reader says of a file."""
    raise InputError("scene.usd", "holds no mesh", "give a mesh")


def fail():
    """What a reader does not foresee."""
    raise KeyError("points\nof nothing")


def abort():
    """As native code does on what it believes impossible."""
    os.abort()


def read_nowhere():
    """As native code does when its stack is full."""
    ctypes.string_at(0)


def leave():
    """Without an answer."""
    os._exit(3)


def compute_for_ever():
    """No end."""
    while True:
        pass


def wait_for_ever(note):
    """No end either, without computing; the note says who waits."""
    with open(note, "w") as stream:
        stream.write(str(os.getpid()))
    time.sleep(1000.0)


def ask_for_memory():
    """Much more than there is."""
    return {"all": np.ones(1 << 34)}, None


def answer_too_much():
    """More than was asked for."""
    return {"much": np.zeros(1 << 20)}, None


def answer_objects():
    """What only pickle could carry."""
    return {"objects": np.array([{}])}, None
