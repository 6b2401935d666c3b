#!/usr/bin/python3
"""report.py - puts the figures of a benchmark where they are read

  report.py JSON README PANELS

JSON is what bench.py wrote. The table goes into README, between the markers
<!-- bench --> and <!-- /bench -->; PANELS is written for plot.gp.
"""
# SPDX-License-Identifier: MIT

import json
import sys

import table

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
PLOT = "tests/bench/bench.svg"
BARS = (  # rows that have a panel, its caption; log: for figures far apart
    ("submit", "durable submit, drafts/s", True),
    ("single", "one draft a message, drafts/s", False),
    ("complete", "complete, results/s", True),
    ("life", "from submit to result, drafts/s", True),
    ("wall20", "time beyond that of the calls, %", True),
    ("cpu", "processor time of a call, ms", True),
    ("memory-broker", "memory with many waiting, MiB", True),
    ("restart", "killed, until the first call, s", True),
)
OURS, OTHERS, ALONE, EARLY = 0x2E6FB0, 0xA9A9A9, 0xDDDDDD, 0xE3C28F


def short(value):
    """A figure for the end of a bar."""
    if value >= 10000:
        return f"{value / 1000:,.0f} k"
    if value >= 1000:
        return f"{value / 1000:.1f} k"
    return f"{value:.3g}"


def base_name(contestant):
    return contestant.split(",")[0]


def colour(name, notes):
    if base_name(name) == "Sheaf":
        return OURS
    if name.endswith("alone"):
        return ALONE
    return EARLY if base_name(name) in notes else OTHERS


def panel(number, row, notes, caption, is_log):
    """A bar for each contestant. Those of a logarithmic scale say so."""
    better = "more" if row["more_is_better"] else "less"
    scale = ", log" if is_log else ""
    lines = [f"$panel{number} << EOD"]
    for name, figure in row["contestants"].items():
        value = max(figure["median"], 1e-6)
        lines.append(f'"{name}" {value} {colour(name, notes)} "{short(value)}"')
    lines += ["EOD", f'title{number} = "{caption} ({better} is better{scale})"']
    lines += [f"log{number} = {int(is_log)}"]
    lines += [f"count{number} = {len(row['contestants'])}"]
    values = [figure["median"] for figure in row["contestants"].values()]
    lines += [f"least{number} = {max(min(values), 1e-6)}"]
    lines += [f"most{number} = {max(values)}"]
    return lines


def growth(rows):
    lines = ["$growth << EOD"]
    both = [
        rows[f"growth-{what}"]["contestants"] for what in ("submit", "complete")
    ]
    for name in both[0]:
        if base_name(name) != "Sheaf":
            continue
        waiting = int(name.split()[1].replace(",", ""))
        times = [contestants[name]["median"] for contestants in both]
        lines.append(f"{waiting} {times[0]} {times[1]}")
    return lines + ["EOD"]


def write_panels(document, path):
    rows = document["rows"]
    lines = []
    count = 0
    for key, caption, is_log in BARS:
        if key in rows and rows[key]["contestants"]:
            count += 1
            lines += panel(count, rows[key], document["notes"], caption, is_log)
    lines.append(f"panels = {count}")
    has_growth = "growth-submit" in rows
    lines.append(f"has_growth = {int(has_growth)}")
    if has_growth:
        lines += growth(rows)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def figure_text(row, name):
    found = [n for n in row["contestants"] if n == name]
    if name == "Sheaf" and not found:
        found = [n for n in row["contestants"] if base_name(n) == name]
    if not found:
        return "–"
    return table.number(row["contestants"][found[0]]["median"], row["digits"])


def limit_text(target, name):
    return table.wanted(target, name) if target[name] is not None else ""


def target_lines(row):
    """The first line names the row; the others stand below it."""
    head = f"{row['title']}, {row['unit']} | {figure_text(row, 'Sheaf')}"
    if not row["targets"]:
        others = [name for name in row["contestants"] if name != "Sheaf"]
        shown = [f"{name}: {figure_text(row, name)}" for name in others]
        yield f"| {head} | {', '.join(shown)} | | | |"
    for target in row["targets"]:
        got = "–"
        if target["value"] is not None:
            got = target["form"].format(target["value"])
        beside = f"{got} {target['text']}"
        if target["beside"]:
            beside += f": {figure_text(row, target['beside'])}"
        limits = [limit_text(target, name) for name in ("floor", "ambition")]
        cells = [head, beside, *limits, table.held(target)]
        yield "| " + " | ".join(cells) + " |"
        head = "|"


def markdown(document):
    lines = [
        f"![Sheaf beside the others]({PLOT})",
        "",
        f"`make bench` on {document['machine']}: medians of "
        f"{document['rounds']} rounds at size `{document['scale']}`.",
        "",
        "| what | Sheaf | beside | floor | ambition | |",
        "| --- | ---: | --- | ---: | ---: | --- |",
    ]
    for row in document["rows"].values():
        lines += target_lines(row)
    notes = [f"{name} {note}." for name, note in document["notes"].items()]
    return "\n".join(lines + ["", " ".join(notes)])


def write_readme(document, path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(
            f"report: {path}: {BEGIN} and {END} must be there once"
        )
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}{BEGIN}\n{markdown(document)}\n{END}{tail}")


def main():
    source, readme, panels = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        document = json.load(file)
    write_panels(document, panels)
    write_readme(document, readme)


if __name__ == "__main__":
    main()
