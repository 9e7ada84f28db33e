import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.conftest import encoded, number_of, numbered
from videopath_hf.errors import UserError
from videopath_hf.samples import lecture_path
from videopath_hf.video.backends import _split, choose_backend, unusable
from videopath_hf.video.container import decode, open_video
from videopath_hf.video.decode import iter_frames, read_frames
from videopath_hf.video.frame_index import FrameIndex, _is_closed, frame_index
from videopath_hf.video.probe import VideoError, probe


def test_every_frame_comes_once_and_in_order(clip: Path) -> None:
    frames = list(iter_frames(clip))
    assert [frame.index for frame in frames] == list(range(100))
    assert [number_of(frame.image) for frame in frames] == list(range(100))
    assert frames[37].time == pytest.approx(37 / 25)
    assert frames[0].image.dtype == np.uint8 and frames[0].image.shape == (72, 96, 3)


def test_a_grid_takes_the_nearest_frames(clip: Path) -> None:
    frames = list(iter_frames(clip, fps=4))
    assert [frame.index for frame in frames] == [0, 6, 12, 19, 25, 31, 37, 44, 50, 56, 62, 69, 75, 81, 87, 94]
    assert [number_of(frame.image) for frame in frames] == [frame.index for frame in frames]


def test_a_stretch_is_numbered_from_the_start_of_the_video(long_gop_clip: Path) -> None:
    frames = list(iter_frames(long_gop_clip, start=5.0, end=6.0))
    assert [frame.index for frame in frames] == list(range(150, 180))
    assert [number_of(frame.image) for frame in frames] == list(range(150, 180))
    assert [frame.time for frame in frames] == pytest.approx([number / 30 for number in range(150, 180)])


def test_a_stretch_on_a_grid_is_what_the_whole_video_holds_there(long_gop_clip: Path) -> None:
    whole = {frame.index: frame.image for frame in iter_frames(long_gop_clip)}
    frames = list(iter_frames(long_gop_clip, fps=2, start=4.5, end=6.5))
    assert [frame.index for frame in frames] == [135, 150, 165, 180]
    assert all(np.array_equal(frame.image, whole[frame.index]) for frame in frames)


def test_a_picture_shown_for_long_fills_its_part_of_the_grid(uneven_clip: Path) -> None:
    frames = list(iter_frames(uneven_clip, fps=2, end=3.0))
    assert [frame.index for frame in frames] == [0, 2, 2, 3, 3, 4]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.2, 0.2, 2.0, 2.0, 2.1])


def test_frames_are_scaled_down_to_an_even_height_and_never_up(clip: Path) -> None:
    assert next(iter_frames(clip, width=50)).image.shape == (38, 50, 3)
    assert next(iter_frames(clip, width=960)).image.shape == (72, 96, 3)


def test_a_turned_video_comes_upright(clip: Path, turned_clip: Path) -> None:
    flat, upright = next(iter_frames(clip)).image, next(iter_frames(turned_clip)).image
    assert np.array_equal(upright, np.rot90(flat, -1))
    assert np.array_equal(read_frames(turned_clip, [0])[0], upright)
    assert next(iter_frames(turned_clip, width=36)).image.shape == (48, 36, 3)


def test_damage_in_the_middle_is_an_error_that_names_the_time(damaged_clip: Path) -> None:
    with pytest.raises(VideoError, match=r"damaged\.mp4 cannot be decoded after [12]\.\d\d s"):
        list(iter_frames(damaged_clip, fps=2))


def test_a_cut_off_file_is_an_error_at_its_end_not_a_shorter_video(cut_clip: Path) -> None:
    with pytest.raises(VideoError, match="after"):
        list(iter_frames(cut_clip))
    with pytest.raises(VideoError, match="cut off"):
        read_frames(cut_clip, [0])


@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_frames_come_in_the_order_asked_for_and_as_often(long_gop_clip: Path, backend: str) -> None:
    if backend == "decord":
        pytest.importorskip("decord")
    wanted = [200, 3, 3, 121, 0, 239, 41, 40, 39]
    frames = read_frames(long_gop_clip, wanted, backend)  # type: ignore[arg-type]
    assert [number_of(frame) for frame in frames] == wanted


def test_seeking_reads_what_decoding_from_the_start_reads(long_gop_clip: Path) -> None:
    whole = np.stack([frame.image for frame in iter_frames(long_gop_clip)])
    for start in (0, 17, 39, 100):
        wanted = list(range(start, 240, 61))
        assert np.array_equal(read_frames(long_gop_clip, wanted), whole[wanted])


def test_a_stream_without_whole_keyframes_is_decoded_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "refresh.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "intra-refresh=1:keyint=40"})
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for image in numbered(120):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    assert frame_index(path).keyframes.tolist() == [0]
    whole = np.stack([frame.image for frame in iter_frames(path)])
    assert np.array_equal(read_frames(path, [45, 85, 119]), whole[[45, 85, 119]])


def test_frames_of_a_variable_rate_video_are_found_by_number(uneven_clip: Path) -> None:
    assert [number_of(frame) for frame in read_frames(uneven_clip, [5, 3, 0])] == [5, 3, 0]


@pytest.mark.parametrize("index", [-1, 100])
def test_a_frame_out_of_range_is_an_error(clip: Path, index: int) -> None:
    with pytest.raises(VideoError, match=rf"has 100 frames, numbered from 0; frame {index} does not exist"):
        read_frames(clip, [0, index])


def test_an_unknown_backend_is_refused(clip: Path) -> None:
    with pytest.raises(ValueError, match="backend must be one of pyav, decord, torchcodec, auto, not 'opencv'"):
        read_frames(clip, [0], "opencv")  # type: ignore[arg-type]


def test_decord_is_asked_for_only_when_chosen(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    assert len(read_frames(clip, [0])) == 1
    with pytest.raises(UserError, match="pip install decord"):
        read_frames(clip, [0], "decord")


def test_decord_is_not_asked_for_a_turned_video(turned_clip: Path) -> None:
    pytest.importorskip("decord")
    with pytest.raises(VideoError, match=r"turned\.mp4 is shown turned .*use backend='pyav'"):
        read_frames(turned_clip, [0], "decord")


def test_decord_names_the_file_it_cannot_decode(damaged_clip: Path) -> None:
    pytest.importorskip("decord")
    with pytest.raises(VideoError, match=r"damaged\.mp4 cannot be decoded by decord .*use backend='pyav'"):
        read_frames(damaged_clip, [0, 60, 99], "decord")


def test_both_backends_read_the_same_frames_of_the_sample_lecture() -> None:
    pytest.importorskip("decord")
    total = len(frame_index(lecture_path()).times)
    wanted = [0, 1, total // 3, total // 2, total - 1]
    pyav, decord = (read_frames(lecture_path(), wanted, backend) for backend in ("pyav", "decord"))
    assert np.array_equal(pyav, decord)


def test_the_index_without_decoding_agrees_with_decoding(long_gop_clip: Path) -> None:
    index = frame_index(long_gop_clip)
    frames = list(iter_frames(long_gop_clip, width=8))
    assert index.times.tolist() == pytest.approx([frame.time for frame in frames])
    assert index.keyframes.tolist() == [0, 40, 80, 120, 160, 200]
    assert len(index.times) == probe(long_gop_clip).frames


def test_a_video_without_time_stamps_is_read_by_counting(long_gop_clip: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.h264"
    with av.open(str(long_gop_clip)) as source, av.open(str(raw), "w", format="h264") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert frame_index(raw).pts is None
    assert [number_of(frame) for frame in read_frames(raw, [200, 5])] == [200, 5]


@pytest.mark.parametrize("readers", [1, 2, 3, 4])
def test_any_number_of_readers_reads_the_same(
    long_gop_clip: Path, uneven_clip: Path, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    monkeypatch.setattr("videopath_hf.video.backends.cpus", lambda: readers)
    for path, total in ((long_gop_clip, 240), (uneven_clip, 6)):
        whole = np.stack([frame.image for frame in iter_frames(path)])
        for step in (1, 3, 7, 41):
            wanted = list(range(0, total, step))
            assert np.array_equal(read_frames(path, wanted), whole[wanted])


def test_a_video_is_cut_for_the_readers_between_keyframes() -> None:
    index = FrameIndex(np.arange(400), np.arange(400) / 25, np.arange(0, 400, 100))
    parts = _split(index, list(range(0, 400, 10)), 3)
    assert [number for part in parts for number in part] == list(range(0, 400, 10))
    assert all(part[0] % 100 == 0 for part in parts)
    assert [len(part) for part in parts] in ([10, 20, 10], [20, 10, 10], [10, 10, 20])
    assert _split(index, [5, 7], 4) == [[5, 7]]


def test_a_short_clip_is_not_parted_among_readers_that_would_each_decode_all_of_it(tmp_path: Path) -> None:
    index = frame_index(encoded(tmp_path / "x.mp4", "libx264"))  # 40 frames, a keyframe every 12
    assert _split(index, list(range(0, 40, 3)), 32) == [list(range(0, 40, 3))]


def test_frames_nobody_refers_to_are_left_out_unless_wanted(tmp_path: Path) -> None:
    path = encoded(tmp_path / "x.mp4", "libx264")
    index = frame_index(path)
    assert index.pts is not None
    with open_video(path) as source:
        came = [int(frame.pts or 0) for frame in decode(source, wanted=index.wanted([21]))]
    assert int(index.pts[21]) in came
    assert len(came) < 0.8 * len(index.times)


def test_groups_that_hold_nothing_wanted_and_the_rest_of_a_group_are_not_decoded(long_gop_clip: Path) -> None:
    index = frame_index(long_gop_clip)  # 240 frames, a keyframe every 40
    with open_video(long_gop_clip) as source:
        came = [frame.pts for frame in decode(source, wanted=index.wanted([42, 43, 170]))]
    numbers = np.searchsorted(index.pts, came)
    assert {42, 43, 170} <= set(numbers)
    assert all(40 <= number < 47 or 160 <= number < 174 for number in numbers)


def test_nothing_is_read_behind_the_last_frame_that_is_wanted(long_gop_clip: Path) -> None:
    index = frame_index(long_gop_clip)
    for wanted in ([60], [3, 60], [10, 199]):
        with open_video(long_gop_clip) as source:
            came = [frame.pts for frame in decode(source, wanted=index.wanted(wanted))]
            left = sum(packet.size > 0 for packet in source.container.demux(source.stream))
        assert set(wanted) <= set(np.searchsorted(index.pts, came))
        assert left >= 240 - wanted[-1] - 12


def test_groups_are_closed_where_file_and_screen_agree_on_what_follows_a_keyframe() -> None:
    key, other = True, False
    assert _is_closed([(0, key), (2, other), (1, other), (3, key), (4, other)])
    assert not _is_closed([(0, key), (1, other), (5, key), (3, other)])
    assert not _is_closed([(0, key), (4, other), (3, key), (5, other)])


X264, X265 = "keyint=12:min-keyint=12:scenecut=0", "keyint=12:min-keyint=12:log-level=none"
STREAMS = [
    *(("libx264", {"x264-params": f"{X264}:{more}"}) for more in ("bframes=0", "bframes=3", "bframes=3:ref=5")),
    # Keyframes across which the decoder is not told to forget: nothing is shown before them that comes after.
    ("libx264", {"x264-params": f"{X264}:bframes=0:open-gop=1"}),
    ("libx264", {"x264-params": f"{X264}:bframes=3:open-gop=1"}),
    ("libx264", {"x264-params": "intra-refresh=1:keyint=12"}),
    *(("libx265", {"x265-params": f"{X265}:{more}"}) for more in ("bframes=0", "bframes=4:open-gop=1", "open-gop=0")),
    ("mpeg2video", {"bf": "2"}),
    ("mpeg4", {"bf": "2"}),
    ("libvpx-vp9", {"deadline": "realtime"}),
    ("libsvtav1", {"preset": "10"}),
    ("mjpeg", {}),
]


@pytest.mark.parametrize(("codec", "options"), STREAMS, ids=lambda value: str(value).replace(" ", ""))
def test_what_is_left_out_changes_no_frame_of_any_codec(
    tmp_path: Path, codec: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.gop_size = 96, 72, 12
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for image in numbered(90):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    whole = np.stack([frame.image for frame in iter_frames(path)])
    assert len(whole) == 90
    rng = np.random.default_rng(0)
    for readers in (1, 2):
        monkeypatch.setattr("videopath_hf.video.backends.cpus", lambda readers=readers: readers)
        for count in (1, 2, 3, 7, 30):
            wanted = np.sort(rng.choice(90, count, replace=False))
            assert np.array_equal(read_frames(path, wanted.tolist()), whole[wanted]), (readers, wanted)


@pytest.mark.parametrize("codec", ["libx265", "libx264", "mpeg4"])
def test_keyframes_that_are_none_lead_nowhere_wrong(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "x.mp4"
    false, packets = {30, 54}, []
    options = {"libx265": {"x265-params": f"{X265}:bframes=0"}, "libx264": {"x264-params": f"{X264}:bframes=0"}}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 96, 72, "yuv420p", 12
        images = (av.VideoFrame.from_ndarray(image, format="rgb24") for image in numbered(90))
        for frame in (*images, None):
            packets += stream.encode(frame)
        for number, packet in enumerate(packets):
            packet.is_keyframe |= number in false
            container.mux(packet)
    whole = np.stack([frame.image for frame in iter_frames(path)])
    index = frame_index(path)
    faults = {"mpeg4": r"marks its frame at 3\.00 s as a keyframe", "libx265": "no frame that can be decoded"}
    if codec in faults:  # of H.264 the muxer looks for itself what is a keyframe
        assert false <= set(index.keyframes.tolist())
        with open_video(path) as source, pytest.raises(VideoError, match=faults[codec]):
            list(decode(source, wanted=index.wanted([33])))
    for wanted in ([33], [3, 33, 34], [2, 57, 80], [31]):
        assert np.array_equal(read_frames(path, wanted), whole[wanted])


def test_pictures_are_transformed_as_they_come(long_gop_clip: Path) -> None:
    whole = read_frames(long_gop_clip, [3, 90, 200])
    for backend in ("pyav", "decord"):
        flipped = read_frames(long_gop_clip, [200, 3, 90], backend, lambda image: image[:, ::-1])  # type: ignore[arg-type]
        assert np.array_equal(flipped, whole[[2, 0, 1], :, ::-1])


@pytest.mark.parametrize("backend", ["decord", "torchcodec"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
def test_all_decoders_give_the_same_frames(tmp_path: Path, codec: str, backend: str) -> None:
    fault = unusable(backend)
    if fault is not None:
        pytest.skip(fault)
    path = encoded(tmp_path / "clip.mp4", codec)
    wanted = [0, 1, 13, 25, 39]
    expected = read_frames(path, wanted)
    if (codec, backend) == ("libsvtav1", "decord"):
        with pytest.raises(VideoError, match="decord"):
            read_frames(path, wanted, backend)  # decord's own FFmpeg has no AV1 decoder
        return
    assert np.array_equal(read_frames(path, wanted, backend), expected)


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "libsvtav1"])
def test_other_codecs_are_read_exactly(tmp_path: Path, codec: str) -> None:
    path = encoded(tmp_path / "clip.mp4", codec)
    whole = np.stack([frame.image for frame in iter_frames(path)])
    assert len(whole) == 40
    assert np.array_equal(read_frames(path, [1, 14, 26, 39]), whole[[1, 14, 26, 39]])


@pytest.mark.needs_shared
@pytest.mark.parametrize("backend", ["decord", "torchcodec"])
def test_all_decoders_give_the_same_frames_of_a_real_lecture(shared: Path, backend: str) -> None:
    fault = unusable(backend)
    if fault is not None:
        pytest.skip(fault)
    path = shared / "lectures" / "dev" / "lecture.mp4"
    wanted = [0, 99, 100, 777, 1500, 2000]
    assert np.array_equal(read_frames(path, wanted, backend), read_frames(path, wanted))  # type: ignore[arg-type]


def test_a_decoder_that_does_not_work_is_named_with_the_reason(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    with pytest.raises(UserError, match=r"decoder 'torchcodec' cannot be used: .*or choose 'pyav'"):
        read_frames(clip, [0], "torchcodec")


def test_auto_takes_the_first_decoder_that_works(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_backend("auto") == "pyav"
    monkeypatch.setattr("videopath_hf.video.backends.unusable", lambda name: None if name == "decord" else "broken")
    assert choose_backend("auto") == "decord"
