"""Charts for the reports, as SVG text that stands in a page by itself."""

import io
from collections.abc import Mapping, Sequence
from typing import Any


def loss_curves(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Draw one panel a stage of loss over optimizer steps; `curves` maps a stage's name to its (step, loss) pairs."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # A fixed salt and no date: the same run draws the same bytes.
    settings: Any = {"svg.hashsalt": "videopath_hf", "font.size": 9, "axes.spines.top": False}
    settings["axes.spines.right"] = False
    with matplotlib.rc_context(settings):
        figure, axes = pyplot.subplots(1, len(curves), figsize=(3 * len(curves), 2.6), squeeze=False)
        for axis, (name, points) in zip(axes[0], curves.items(), strict=True):
            axis.plot([step for step, _ in points], [loss for _, loss in points], color="#b0457b", linewidth=1.4)
            axis.set(title=name, xlabel="step", ylim=(0, None))
        axes[0][0].set_ylabel("loss (nats a token)")
        figure.tight_layout()
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return stream.getvalue()[stream.getvalue().index("<svg") :]
