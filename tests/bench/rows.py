"""rows.py - all that can be measured, and on whom"""
# SPDX-License-Identifier: MIT

import importlib.util
import shutil

import keeping
import peers
import queueing
import whole

SECTIONS = {
    "submit": queueing.SUBMIT,
    "submit8": queueing.SUBMIT8,
    "single": queueing.SINGLE,
    "hits": queueing.HITS,
    "complete": queueing.COMPLETE,
    "read": queueing.READ,
    "life": whole.LIFE,
    "wall20": whole.WALL20,
    "wall200": whole.WALL200,
    "memory": keeping.MEMORY,
    "restart": keeping.RESTART,
    "disk": keeping.DISK,
    "growth": keeping.GROWTH,
}


def lacks():
    """Contestants whose programs are missing, and which."""
    found = {}
    for peer in peers.ALL:
        if peer.lack():
            found[peer.name] = peer.lack()
    if not shutil.which("curl"):
        found["curl --parallel"] = "curl is not installed"
    if not importlib.util.find_spec("aiohttp"):
        found["Python"] = "aiohttp is not installed"
    if not shutil.which("node") or not (whole.NODE_MODULES / "openai").exists():
        found["Node"] = "node, or its packages, are not installed"
    return found


def systems():
    """All that are measured, in the order in which they come first."""
    names = [
        base_name(contestant)
        for section in SECTIONS.values()
        for contestant in section.contestants
    ]
    return list(dict.fromkeys(names))


def base_name(contestant):
    """A contestant is its system, and after a comma how it is used."""
    return contestant.split(",")[0]
