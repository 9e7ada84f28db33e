"""Intervals and tests that treat a source video as one."""

import itertools

import numpy as np
import pytest
from scipy import stats

from videopath_hf.evaluation.statistics import NO_INTERVAL, bootstrap, means, paired_test


def test_with_one_record_a_video_the_interval_is_that_of_the_plain_percentile_bootstrap() -> None:
    values = np.random.default_rng(3).normal(2.5, 1.0, (120, 1))
    videos = [f"v{number}" for number in range(120)]
    (found,) = bootstrap(values, videos, 20_000, seed=0)
    plain = stats.bootstrap((values[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert found.low == pytest.approx(plain.confidence_interval.low, abs=0.01)
    assert found.high == pytest.approx(plain.confidence_interval.high, abs=0.01)


def test_records_of_one_video_do_not_count_as_independent() -> None:
    """Ten equal copies of each video's score carry no more information than one of them."""
    single = np.random.default_rng(4).normal(0, 1, (40, 1))
    videos = [f"v{number}" for number in range(40)]
    copies, owners = np.repeat(single, 10, axis=0), np.repeat(videos, 10).tolist()
    assert bootstrap(copies, owners, 2000, seed=5)[0] == pytest.approx(bootstrap(single, videos, 2000, seed=5)[0])
    as_if_independent = bootstrap(copies, [str(number) for number in range(400)], 2000, seed=5)[0]
    clustered = bootstrap(copies, owners, 2000, seed=5)[0]
    assert as_if_independent.high - as_if_independent.low < 0.5 * (clustered.high - clustered.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Videos of unequal numbers of records that resemble each other: 95% intervals hold the mean 95 times of 100."""
    generator = np.random.default_rng(6)
    hits = 0
    for trial in range(200):
        videos = np.repeat(np.arange(60), generator.integers(1, 6, 60))
        values = generator.normal(0, 1, 60)[videos] + generator.normal(0, 0.3, len(videos))
        (found,) = bootstrap(values[:, None], videos.astype(str).tolist(), 400, seed=trial)
        hits += found.low <= 0 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_what_has_no_score_is_left_out_and_a_column_of_one_video_has_no_interval() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan], [np.nan, 4.0, np.nan]])
    assert means(values)[:2].tolist() == [2.0, 3.0]
    assert np.isnan(means(values)[2])
    first, second, third = bootstrap(values, ["a", "b", "b"], 500, seed=0)
    assert (first.low, first.high) == (1.0, 3.0)
    assert second == third == NO_INTERVAL
    assert bootstrap(values, ["a", "a", "a"], 500, seed=0) == [NO_INTERVAL] * 3
    assert bootstrap(np.full((30, 1), 0.1), [str(number) for number in range(30)], 500, seed=0) == [NO_INTERVAL]


def test_the_same_seed_gives_the_same_interval_and_many_videos_need_no_more_memory() -> None:
    values = np.random.default_rng(0).normal(0, 1, (30_000, 1))
    videos = [str(number) for number in range(30_000)]
    assert bootstrap(values, videos, 300, seed=1) == bootstrap(values, videos, 300, seed=1)
    assert bootstrap(values, videos, 300, seed=1) != bootstrap(values, videos, 300, seed=2)


def test_few_videos_have_all_their_flips_looked_at() -> None:
    differences = np.array([0.4, 1.0, -0.2, 0.7, 0.9])
    sums = [0.4 + 1.0, -0.2, 0.7, 0.9]
    flips = [abs(np.dot(signs, sums)) for signs in itertools.product((-1, 1), repeat=4)]
    found = paired_test(differences, ["a", "a", "b", "c", "d"], 100, seed=0)
    assert found.p == pytest.approx(np.mean([flip >= sum(sums) - 1e-9 for flip in flips]))
    assert (found.better, found.equal, found.worse, found.records, found.videos) == (4, 0, 1, 5, 4)
    assert found.difference == pytest.approx(0.56)
    assert found.effect == pytest.approx(0.56 / np.std(differences, ddof=1))


def test_with_many_videos_the_sampled_flips_agree_with_scipys_permutation_test() -> None:
    differences = np.random.default_rng(8).normal(0.25, 1, 60)
    found = paired_test(differences, [str(number) for number in range(60)], 20_000, seed=0)
    reference = stats.permutation_test(
        (differences, np.zeros(60)), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        n_resamples=20_000, vectorized=True, rng=1,
    )  # fmt: skip
    assert found.p == pytest.approx(reference.pvalue, abs=0.01)
    assert found.interval.low is not None
    assert found.interval.low < 0.25 < found.interval.high


def test_no_difference_is_no_finding_and_nothing_to_compare_is_none() -> None:
    same = paired_test(np.zeros(20), [str(number) for number in range(20)], 500, seed=0)
    assert (same.difference, same.p, same.effect, same.equal) == (0.0, 1.0, None, 20)
    nothing = paired_test(np.array([np.nan, np.nan]), ["a", "b"], 500, seed=0)
    assert (nothing.difference, nothing.p, nothing.interval, nothing.records) == (None, None, NO_INTERVAL, 0)
    one_video = paired_test(np.array([1.0, 2.0]), ["a", "a"], 500, seed=0)
    assert (one_video.difference, one_video.p, one_video.interval) == (1.5, None, NO_INTERVAL)
