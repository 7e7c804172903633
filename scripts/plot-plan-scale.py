#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draws what benchmarks/plan_scale --csv wrote.

usage: plot-plan-scale.py FILE.csv PLOT.svg
"""
import csv
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 330, 240, 60, 40, 90
COLOURS = {"moe": "#1b6ca8", "moe-limited": "#c2571a", "fft": "#3c8d40", "sparse": "#8a4fa3"}
# Title, column, factor to the unit that is drawn, routes.
PANELS = (
    ("time to plan, ms", "seconds", 1e3, ("node",)),
    ("memory of the plan, MiB", "memory", 2.0**-20, ("node",)),
    ("on the wire, MB", "wire_bytes", 1e-6, ("direct", "node")),
)


def series(rows, panel):
    """{(traffic, ranks a node, route): [(ranks, value)]}, without values of 0, which a logarithm has no place for."""
    _, column, factor, routes = panel
    found = {}
    for row in rows:
        value = float(row[column]) * factor
        if row["route"] in routes and value > 0:
            found.setdefault((row["traffic"], row["per_node"], row["route"]), []).append((int(row["ranks"]), value))
    return found


class Axis:
    """A logarithmic axis over whole powers of its base."""

    def __init__(self, values, base, begin, end):
        self.base = base
        self.low = math.floor(math.log(min(values), base) + 1e-9)
        self.high = max(math.ceil(math.log(max(values), base) - 1e-9), self.low + 1)
        self.begin, self.end = begin, end

    def place(self, value):
        share = (math.log(value, self.base) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        return [float(self.base) ** power for power in range(self.low, self.high + 1)]


def text(x, y, words, anchor="middle", size=11):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{words}</text>'


def draw_panel(lines, title, left):
    points = [point for line in lines.values() for point in line]
    across = Axis([ranks for ranks, _ in points], 4, left, left + WIDTH)
    up = Axis([value for _, value in points], 10, TOP + HEIGHT, TOP)
    out = [text(left + WIDTH / 2, TOP - 14, title, size=13)]
    for tick in across.ticks():
        x = across.place(tick)
        out.append(f'<path d="M{x:.1f} {TOP}V{TOP + HEIGHT}" stroke="#ddd"/>' + text(x, TOP + HEIGHT + 16, f"{tick:.0f}"))
    for tick in up.ticks():
        y = up.place(tick)
        out.append(f'<path d="M{left} {y:.1f}H{left + WIDTH}" stroke="#ddd"/>' + text(left - 6, y + 4, f"{tick:g}", "end"))
    out.append(text(left + WIDTH / 2, TOP + HEIGHT + 34, "ranks"))
    for (traffic, per_node, route), line in lines.items():
        path = "M" + "L".join(f"{across.place(ranks):.1f} {up.place(value):.1f}" for ranks, value in sorted(line))
        dashes = ' stroke-dasharray="2 3"' if route == "direct" else ""
        width = 2.4 if per_node == "64" else 1.2
        out.append(f'<path d="{path}" fill="none" stroke="{COLOURS.get(traffic, "#444")}" stroke-width="{width}"{dashes}/>')
    return out


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with open(sys.argv[1], newline="") as file:
        rows = list(csv.DictReader(file))
    body = []
    for index, panel in enumerate(PANELS):
        lines = series(rows, panel)
        if not lines:
            sys.exit(f"{sys.argv[1]}: no values of {panel[1]}")
        body += draw_panel(lines, panel[0], LEFT + index * (WIDTH + GAP))
    total = LEFT + len(PANELS) * (WIDTH + GAP)
    y = TOP + HEIGHT + 62
    for index, (traffic, colour) in enumerate(COLOURS.items()):
        x = LEFT + index * 120
        body.append(f'<path d="M{x} {y - 4}h24" stroke="{colour}" stroke-width="2"/>' + text(x + 30, y, traffic, "start"))
    body.append(text(LEFT + 490, y, "thick: 64 ranks a node, thin: 8; dotted: direct, full: by nodes", "start"))
    with open(sys.argv[2], "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{y + 16}" '
                   f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>\n')
        file.write("\n".join(body) + "\n</svg>\n")


main()
