"""plan.py - how much is measured, and what ought to come of it

A section is a way of measuring. Each of its contestants is measured in turn,
round after round, and gives figures for one or more rows. A row has targets: a
value made of the medians, with a floor that must hold and an ambition.
"""
# SPDX-License-Identifier: MIT

import dataclasses
import typing

from scratch import touch_memory

SHEAF = "Sheaf"
SCALES = ("tiny", "normal", "full")
ROUNDS = {"tiny": 1, "normal": 3, "full": 5}
SIZES = {  # for each of the scales
    "submit": (2000, 100000, 300000),
    "submit8": (2000, 100000, 100000),
    "submit8 turns": (2, 4, 4),
    "slow": (200, 2000, 5000),
    "some": (1000, 20000, 100000),
    "single": (160, 4000, 8000),
    "complete": (1000, 30000, 100000),
    "life": (100, 1000, 1000),
    "wall20": (50, 1000, 1000),
    "wall200": (10, 100, 100),
    "hits": (1000, 50000, 200000),
    "read": (2000, 100000, 1000000),
    "disk": (2000, 100000, 1000000),
    "memory": (2000, 100000, 1000000),
    "memory few": (1000, 10000, 10000),
    "restart": (2000, 100000, 1000000),
    "restarts": (1, 3, 5),
    "growth slice": (500, 20000, 20000),
    "touched MiB": (16, 1024, 1024),
    "growth touched MiB": (16, 4096, 8192),  # more is free, and not touched
}
MARKS = {  # drafts that wait when growth is looked at
    "tiny": (1000, 3000),
    "normal": (100000, 300000, 1000000),
    "full": (100000, 300000, 1000000, 3000000, 10000000),
}
BATCH_DRAFTS_MAX = 100000  # what is handed in to wait comes in such batches


class Bench:
    """What a contestant is given: where to run, and how much."""

    def __init__(self, scratch, scale):
        self.scratch = scratch
        self.scale = scale

    def size(self, name):
        return SIZES[name][SCALES.index(self.scale)]

    def touch_memory(self, name="touched MiB"):
        """Lets whoever comes next have memory that this machine has already."""
        touch_memory(self.size(name) << 20)

    def fill(self, broker, count, first=0, part_max=BATCH_DRAFTS_MAX):
        """Has drafts wait, in batches. Returns the number of the next one."""
        while count > 0:
            part = min(count, part_max)
            broker.put(part, first=first)
            first += part
            count -= part
        return first


@dataclasses.dataclass
class Target:
    text: str  # what stands behind the value
    value: typing.Callable  # of the medians, by contestant
    at_least: bool
    floor: float  # None: only an ambition
    ambition: float = None
    form: str = "{:.2f}×"
    beside: str = None  # the contestant whose figure is of interest

    def marks(self, medians):
        """(value, floor held, ambition held); None if a figure is missing."""
        try:
            value = self.value(medians)
        except (KeyError, ValueError, ZeroDivisionError):
            return None

        def holds(limit):
            if limit is None:
                return None
            return value >= limit if self.at_least else value <= limit

        return value, holds(self.floor), holds(self.ambition)


@dataclasses.dataclass
class Row:
    title: str
    unit: str
    more_is_better: bool = True
    digits: int = 0
    targets: tuple = ()


@dataclasses.dataclass
class Section:
    rows: dict
    # Functions of a Bench. Each gives the value of a row, or a list of them, or
    # those of several contestants by name: {row: value}.
    contestants: dict
    is_long: bool = False  # once is enough


def times(name, floor, ambition=None, of=SHEAF):
    """Sheaf's rate is so many times a peer's."""
    whose = "" if of == SHEAF else f" ({of})"
    return Target(
        name + whose,
        lambda m: m[of] / m[name],
        True,
        floor,
        ambition,
        beside=name,
    )


def share(name, floor, ambition=None):
    """Sheaf's cost is at most this part of a peer's."""
    return Target(
        f"of {name}",
        lambda m: m[SHEAF] / m[name],
        False,
        floor,
        ambition,
        "{:.3f}",
        name,
    )


def at_most(unit, floor, ambition=None):
    """Sheaf's figure itself."""
    return Target(unit, lambda m: m[SHEAF], False, floor, ambition, "{:.2f}")
