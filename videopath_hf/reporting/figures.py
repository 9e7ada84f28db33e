"""Charts for the reports, as SVG text that stands in a page by itself."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

_TRAIN, _TEST = "#b0457b", "#3566a8"
_SMOOTHED = 40
"""Of a curve's points, so many parts: each is the width of its running mean."""
_COLOURS = (_TRAIN, _TEST, "#d98e2b", "#2b7a4b")


def loss_curves(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Draw one panel a stage of loss over optimizer steps; `curves` maps a stage's name to its (step, loss) pairs."""

    def draw(axes: Any) -> None:
        for axis, (name, points) in zip(axes[0], curves.items(), strict=True):
            axis.plot([step for step, _ in points], [loss for _, loss in points], color=_TRAIN, linewidth=1.4)
            axis.set(title=name, xlabel="step", ylim=(0, None))
        axes[0][0].set_ylabel("loss (nats a token)")

    return _svg(len(curves), (3 * len(curves), 2.6), draw)


def line_panels(
    panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]], tops: Mapping[str, float], columns: int = 3
) -> str:
    """Draw a grid of panels of curves over optimizer steps; a long one faintly, with its running mean over it.

    Args:
        panels (`Mapping`): titles, and under each the named curves of (step, value).
        tops (`Mapping[str, float]`): upper end of the vertical axis of panels that have a fixed one, by title.
    """
    rows = -(-len(panels) // columns)

    def draw(axes: Any) -> None:
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
            for name, points in curves.items():
                marker = "o" if len(points) < 30 else None
                steps, values = [step for step, _ in points], [value for _, value in points]
                width = len(points) // _SMOOTHED
                faint = {"alpha": 0.3, "linewidth": 0.7} if width > 1 else {"linewidth": 1.2, "label": name}
                (line,) = axis.plot(steps, values, marker=marker, markersize=3, **faint)
                if width > 1:
                    means = _running_mean(values, width)
                    axis.plot(steps, means, linewidth=1.4, color=line.get_color(), label=name)
            axis.set(title=title, xlabel="step", ylim=(0, tops.get(title)))
            axis.locator_params(axis="x", nbins=5, integer=True)
            if len(curves) > 1:
                axis.legend(frameon=False, fontsize=7)

    return _svg(columns, (3.6 * columns, 2.7 * rows), draw, rows)


def _running_mean(values: Sequence[float], width: int) -> list[float]:
    """The mean of up to `width` values around each."""
    import numpy as np

    window = np.ones(width)
    return list(np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same"))


def length_histograms(lengths: Mapping[str, Sequence[int]], unit: str, limit: int | None) -> str:
    """Draw how long the records of each kind are, one panel a kind; a line marks the `limit` where it is in sight."""

    def draw(axes: Any) -> None:
        for axis, (name, values) in zip(axes[0], lengths.items(), strict=True):
            axis.hist(values, bins=min(40, max(5, len(set(values)))), color=_TRAIN)
            if limit is not None and max(values) > limit / 4:
                axis.axvline(limit, color=_TEST, linewidth=1.2)
            axis.set(title=f"{name} ({len(values):,})", xlabel=f"{unit} a record", ylim=(0, None))
            axis.locator_params(axis="both", nbins=5, integer=True)
        axes[0][0].set_ylabel("records")

    return _svg(len(lengths), (3 * len(lengths) + 0.6, 2.6), draw)


class CurvePanel(NamedTuple):
    """Curves of shares, 0 to 1, over one quantity.

    Args:
        title (`str`), xlabel (`str`): of the panel.
        curves (`Mapping[str, Sequence[tuple[float, float]]]`): named curves of (quantity, share).
        ticks (`Sequence[float]`): places of the horizontal axis that are marked, evenly spaced.
        baseline (`tuple[str, float]`, *optional*): a share that is drawn as a dashed line, and its name.
    """

    title: str
    xlabel: str
    curves: Mapping[str, Sequence[tuple[float, float]]]
    ticks: Sequence[float]
    baseline: tuple[str, float] | None = None


def share_curves(panels: Sequence[CurvePanel]) -> str:
    """Draw panels of shares side by side; one legend, of all curves, stands beside the last."""

    def draw(axes: Any) -> None:
        named: dict[str, Any] = {}
        names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
        colours = dict(zip(names, _COLOURS * len(names), strict=False))
        for axis, panel in zip(axes[0], panels, strict=True):
            places = {tick: place for place, tick in enumerate(panel.ticks)}
            for name, points in panel.curves.items():
                values = ([places[x] for x, _ in points], [y for _, y in points])
                (line,) = axis.plot(*values, marker="o", markersize=4, linewidth=1.4, color=colours[name])
                named.setdefault(name, line)
            if panel.baseline is not None:
                name, value = panel.baseline
                line = axis.axhline(value, color="#8a94a3", linewidth=1, linestyle="--")
                named.setdefault(name, line)
            axis.set(title=panel.title, xlabel=panel.xlabel, ylim=(-0.03, 1.03), xlim=(-0.3, len(panel.ticks) - 0.7))
            axis.set_xticks(list(places.values()), [f"{tick:g}" for tick in panel.ticks])
        axes[0][0].set_ylabel("share of the answers")
        axes[0][-1].legend(
            named.values(), named.keys(), frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8
        )

    return _svg(len(panels), (2.5 * len(panels) + 2.2, 2.9), draw)


def score_histograms(scores: Mapping[str, Sequence[float]], tops: Mapping[str, float], columns: int = 4) -> str:
    """Draw how the scores of each metric are spread, one panel a metric, on an axis from 0 to its top; a line marks
    the mean."""
    rows = -(-len(scores) // columns)

    def draw(axes: Any) -> None:
        for axis in axes.flat[len(scores) :]:
            axis.set_visible(False)
        for axis, (name, values) in zip(axes.flat, scores.items(), strict=False):
            top = tops[name]
            edges = [
                top * (step - 0.5) / 10 for step in range(12)
            ]  # scores in tenths, or a judge's halves, in the middle
            axis.hist(values, bins=edges, color=_TRAIN)
            axis.axvline(sum(values) / len(values), color=_TEST, linewidth=1.4)
            axis.set(title=f"{name} ({len(values):,})", xlim=(edges[0], edges[-1]), ylim=(0, None))
            axis.locator_params(axis="y", nbins=4, integer=True)
        for row in axes:
            row[0].set_ylabel("records")

    return _svg(columns, (2.8 * columns, 2.3 * rows), draw, rows)


def difference_intervals(differences: Mapping[str, tuple[float, float, float]]) -> str:
    """Draw differences (value, lower and upper end of its interval) as points with bars, one row each, around 0."""

    def draw(axes: Any) -> None:
        axis = axes[0][0]
        places = range(len(differences))
        for place, (value, low, high) in zip(places, differences.values(), strict=True):
            axis.plot([low, high], [place, place], color=_TEST, linewidth=1.6)
            axis.plot([value], [place], "o", color=_TRAIN, markersize=5)
        axis.axvline(0, color="#8a94a3", linewidth=1)
        axis.set_yticks(list(places), list(differences))
        axis.set_ylim(len(differences) - 0.5, -0.5)
        axis.set_xlabel("B - A, of the column's scale")

    return _svg(1, (7.6, 0.9 + 0.3 * len(differences)), draw)


def label_bars(labels: Mapping[str, Mapping[str, tuple[int, int]]], most: int = 20) -> str:
    """Draw how many records of train and of test have each label, one panel a kind of label.

    Args:
        labels (`Mapping[str, Mapping[str, tuple[int, int]]]`): of each kind, the counts of each label in train and
            test; the commonest `most` are drawn, the others together.
    """
    shown = {name: _commonest(counts, most) for name, counts in labels.items()}

    def draw(axes: Any) -> None:
        for axis, (name, counts) in zip(axes[0], shown.items(), strict=True):
            places = range(len(counts))
            names = [label if len(label) <= 34 else f"{label[:33]}…" for label in counts]
            axis.barh([place - 0.2 for place in places], [a for a, _ in counts.values()], 0.4, color=_TRAIN)
            axis.barh([place + 0.2 for place in places], [b for _, b in counts.values()], 0.4, color=_TEST)
            axis.set_yticks(list(places), names)
            axis.invert_yaxis()
            axis.set(title=name, xlabel="records")
            axis.locator_params(axis="x", nbins=5, integer=True)
        axes[0][-1].legend(["train", "test"], frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

    rows = max(len(counts) for counts in shown.values())
    return _svg(len(shown), (5.4 * len(shown) + 0.8, 1.1 + 0.26 * rows), draw)


def _commonest(counts: Mapping[str, tuple[int, int]], most: int) -> dict[str, tuple[int, int]]:
    ordered = sorted(counts, key=lambda name: (-sum(counts[name]), name))
    shown = {name: counts[name] for name in ordered[:most]}
    if others := ordered[most:]:
        shown[f"{len(others)} others"] = (
            sum(counts[name][0] for name in others),
            sum(counts[name][1] for name in others),
        )
    return shown


def _svg(columns: int, size: tuple[float, float], draw: Callable[[Any], None], rows: int = 1) -> str:
    """What `draw` puts into a grid of axes, as SVG text."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # A fixed salt and no date: the same run draws the same bytes.
    settings: Any = {"svg.hashsalt": "videopath_hf", "font.size": 9, "axes.spines.top": False}
    settings["axes.spines.right"] = False
    with matplotlib.rc_context(settings):
        figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False)
        draw(axes)
        figure.tight_layout()
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return stream.getvalue()[stream.getvalue().index("<svg") :]
