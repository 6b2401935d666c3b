"""table.py - the figures of a benchmark as text, and where they are from"""
# SPDX-License-Identifier: MIT

import os
import pathlib
import platform
import subprocess


def machine(directory):
    """A line on processor, memory, disk, systems, and what else runs."""
    model = "?"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    kib = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    parent = pathlib.Path(directory).resolve()
    while not parent.exists():
        parent = parent.parent
    kind = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "-T", parent],
        stdout=subprocess.PIPE,
        check=False,
        encoding="utf-8",
    ).stdout.strip()
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "?")
    return (
        f"{os.cpu_count()} × {model}, {kib / 1048576:.0f} GiB, {kind}, "
        f"Linux {platform.release()}, {system}, load {os.getloadavg()[0]:.1f} before"
    )


def number(value, digits):
    return f"{value:,.{digits}f}"


def held(target):
    if target["value"] is None:
        return "no figure"
    if target["floor_held"] is False:
        return "missed"
    if target["ambition_held"]:
        return "ambition held"
    return "held" if target["floor_held"] else "not yet"


def wanted(target, name):
    sense = "≥" if target["at_least"] else "≤"
    sign = "×" if target["form"].endswith("×") else ""
    limit = target[name]
    shown = f"{limit:,.0f}" if limit >= 1000 else f"{limit:.3g}"
    return f"{sense} {shown}{sign}"


def target_line(target):
    got = "-"
    if target["value"] is not None:
        got = target["form"].format(target["value"])
    line = f"    {held(target):14} {got} {target['text']}"
    limits = [
        f"{name} {wanted(target, name)}"
        for name in ("floor", "ambition")
        if target[name] is not None
    ]
    return f"{line} ({', '.join(limits)})"


def contestant_line(row, name, ours):
    figure = row["contestants"][name]
    shown = [
        number(figure[key], row["digits"]) for key in ("median", "min", "max")
    ]
    line = f"    {name:26} {shown[0]:>12} ({shown[1]}..{shown[2]})"
    if ours and figure is not ours and figure["median"] > 0:
        line += f"   Sheaf is {ours['median'] / figure['median']:.2f}×"
    return line


def text(document):
    lines = [document["machine"]]
    lines.append(
        f"{document['scale']}, {document['rounds']} rounds; median (min..max)"
    )
    for key, row in document["rows"].items():
        ours = row["contestants"].get("Sheaf")
        lines += ["", f"{key}: {row['title']}, {row['unit']}"]
        lines += [
            contestant_line(row, name, ours) for name in row["contestants"]
        ]
        lines += [target_line(target) for target in row["targets"]]
    seen = {
        name for row in document["rows"].values() for name in row["contestants"]
    }
    lines += [""] + [
        f"{name} {note}"
        for name, note in document["notes"].items()
        if name in seen
    ]
    return "\n".join(lines)
