"""Examples show tissue without the lecture's labels and its presenter."""

from itertools import pairwise

from videopath_hf.samples.lecture_plan import HEIGHT, PLAN
from videopath_hf.serving.app import examples as module
from videopath_hf.serving.app.examples import Example
from videopath_hf.video.probe import probe


def test_examples_are_short_clips_and_an_image(examples: list[Example]) -> None:
    assert [example.path.suffix for example in examples] == [".mp4", ".mp4", ".jpg"]
    for example in examples:
        assert example.picture.is_file()
    assert all(3 < probe(example.path).duration < 12 for example in examples[:2])
    assert sum(example.path.stat().st_size for example in examples) < 5_000_000


def test_no_label_and_no_presenter_is_in_them() -> None:
    starts = [0.0]
    for part in PLAN:
        starts.append(starts[-1] + part.seconds)
    for stretch in (*module._STRETCHES, module._STILL):
        number = next(n for n, (start, end) in enumerate(pairwise(starts)) if start <= stretch.start < end)
        assert stretch.end <= starts[number + 1]
        part, begin = PLAN[number], starts[number]
        for inset in part.insets:
            assert stretch.end <= begin + inset.start or stretch.start >= begin + inset.end
        for label in part.labels:
            apart = stretch.end <= begin + label.start or stretch.start >= begin + label.end
            assert apart or label.y + 70 <= stretch.top * HEIGHT, label.text
