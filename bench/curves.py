"""Draws what bench/curves.sh measured: one picture for a few curves each, as SVG.

    python bench/curves.py CURVES.csv FOLDER
"""

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

# Picture: title, curves with the name of their horizontal axis.
PICTURES = {
    "held": (
        "Messages per broker-CPU-second, by what the broker holds besides",
        [
            ("idle connections", "idle connections"),
            ("idle queues", "idle queues"),
            ("backlog elsewhere", "ready messages in another queue"),
            ("backlog in the queue", "ready messages in the same queue"),
        ],
    ),
    "given": (
        "Messages per broker-CPU-second, by what it is given",
        [
            ("queues in turn", "queues, published to in turn"),
            ("publishers and consumers", "publishers, queues and consumers each"),
            ("bindings, one key", "topic bindings, one key"),
            ("bindings, all keys", "topic bindings, all keys in turn"),
            ("octets of a body", "octets of a body"),
        ],
    ),
    "latency": (
        "Latency at 5,000 messages a second (µs): p50 whole lines, p99 dashed",
        [
            ("latency, idle connections", "idle connections"),
            ("latency, idle queues", "idle queues"),
            ("latency, backlog elsewhere", "ready messages in another queue"),
        ],
    ),
}
COLOURS = {"Leveret": "#1b6ca8", "RabbitMQ": "#d9772b"}


def read(path):
    """Medians: curve -> broker -> column -> [(number, value)], ascending."""
    values = defaultdict(list)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            for column in ("per_cpu_second", "p50_us", "p99_us"):
                if row[column]:
                    key = row["curve"], row["broker"], column, int(row["number"])
                    values[key].append(float(row[column]))
    curves = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for (curve, broker, column, number), found in sorted(values.items()):
        curves[curve][broker][column].append((number, statistics.median(found)))
    return curves


def short(number, _position=None):
    for size, unit in ((1_000_000, " M"), (1_000, " k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def draw(axes, brokers, label, columns):
    lowest = None
    for broker, by_column in brokers.items():
        for column, style in columns:
            points = by_column.get(column, [])
            numbers = [number for number, _ in points]
            lowest = min([lowest if lowest is not None else 1, *numbers])
            axes.plot(
                numbers,
                [value for _, value in points],
                style,
                marker="o",
                markersize=3.5,
                color=COLOURS[broker],
                label=broker if column != "p99_us" else None,
            )
    # From nothing on, the logarithm begins with the first step.
    if lowest == 0:
        axes.set_xscale("symlog", linthresh=100, linscale=0.5)
    else:
        axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_minor_formatter("")
    axes.set_xlabel(label)
    axes.grid(True, which="major", linewidth=0.4)


def main(path, folder):
    plt.rcParams.update({"font.size": 8, "svg.hashsalt": "curves", "svg.fonttype": "none"})
    curves = read(path)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, (title, wanted) in PICTURES.items():
        there = [(curves[curve], label) for curve, label in wanted if curve in curves]
        if not there:
            continue
        columns = [("per_cpu_second", "-")]
        if name == "latency":
            columns = [("p50_us", "-"), ("p99_us", "--")]
        across = min(len(there), 3 if len(there) != 4 else 2)
        down = -(-len(there) // across)
        figure, grid = plt.subplots(
            down, across, figsize=(3.3 * across, 2.7 * down), squeeze=False, sharey=name != "given"
        )
        for axes, (brokers, label) in zip(grid.flat, there):
            draw(axes, brokers, label, columns)
        for axes in list(grid.flat)[len(there):]:
            axes.set_visible(False)
        grid.flat[0].legend()
        if name != "given":
            low, high = grid.flat[0].get_ylim()
            grid.flat[0].set_ylim(10 ** (len(str(int(low))) - 1), high * 1.5)
        figure.suptitle(title)
        figure.tight_layout()
        figure.savefig(Path(folder) / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:3])
