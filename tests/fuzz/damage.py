"""Damaged and unusual video files, the same for the same seed, each with the kind of its damage."""

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import clips

_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"edts", b"dinf", b"mvex", b"udta"}


class Damaged(NamedTuple):
    """A file: what was done to it, its name, its bytes."""

    kind: str
    name: str
    data: bytes


def atoms(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, str]]:
    """Start, end and type of all atoms of an mp4 file, boxes in boxes too."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        if size < 8 or start + size > end:
            return
        yield start, start + size, kind.decode("latin1")
        if kind in _BOXES:
            yield from atoms(data, start + 8, start + size)
        start += size


def cut(data: bytes, suffix: str) -> Iterator[Damaged]:
    """Truncated at every atom's start and in its middle; files of other containers at every ninth of their length."""
    if suffix.endswith("mp4"):
        places = {place for a, b, _ in atoms(data) for place in (a, (a + b) // 2, b - 1)}
    else:
        places = {len(data) * ninth // 9 for ninth in range(1, 9)} | {len(data) - 1, 16}
    for place in sorted(places - {0}):
        yield Damaged(f"cut {suffix}", f"cut_{place}.{suffix}", data[:place])


def flipped(data: bytes, suffix: str, chance: random.Random, count: int, end: int | None = None) -> Iterator[Damaged]:
    """A few to many bits turned over, anywhere before `end`."""
    for number in range(count):
        changed = bytearray(data)
        for _ in range(2 ** chance.randrange(8)):
            changed[chance.randrange(end or len(data))] ^= 1 << chance.randrange(8)
        where = "header" if end else "anywhere"
        yield Damaged(f"flip {suffix}", f"flip_{where}_{number}.{suffix}", bytes(changed))


def overwritten(data: bytes, suffix: str, chance: random.Random, count: int) -> Iterator[Damaged]:
    """A stretch of zeros, of random bytes, or of other bytes of the file; a stretch that is missing or doubled."""
    for number in range(count):
        length = max(1, int(len(data) * 10 ** chance.uniform(-3, -0.3)))
        start, other = (chance.randrange(len(data) - length) for _ in range(2))
        fill = [b"\0" * length, chance.randbytes(length), data[other : other + length], b"", 2 * data[start:][:length]]
        what = ("zeroed", "noise", "moved", "missing", "doubled")[number % 5]
        changed = data[:start] + fill[number % 5] + data[start + length :]
        yield Damaged(f"{what} {suffix}", f"{what}_{number}.{suffix}", changed)


def _lie(data: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    place = data.index(box) + len(box) + offset
    return data[:place] + value + data[place + len(value) :]


def lies(made: dict[str, bytes]) -> Iterator[Damaged]:
    """Headers that promise what is not there: lengths, sizes, counts and places far too large, or none."""
    most, zero = b"\x7f\xff\xff\xff", b"\0\0\0\0"
    mp4, avi, mkv = made["mp4"], made["avi"], made["mkv"]
    fields = {
        "movie_duration": (b"mvhd", 16), "movie_timescale": (b"mvhd", 12), "track_duration": (b"tkhd", 20),
        "media_duration": (b"mdhd", 16), "media_timescale": (b"mdhd", 12), "frame_durations": (b"stts", 12),
        "duration_runs": (b"stts", 8), "duration_entries": (b"stts", 4), "frame_count": (b"stsz", 8),
        "frame_size": (b"stsz", 4), "first_frame_size": (b"stsz", 12), "chunk_place": (b"stco", 8),
        "chunk_count": (b"stco", 4), "chunk_runs": (b"stsc", 12), "picture_size": (b"avc1", 24),
        "keyframes": (b"stss", 8), "keyframe_count": (b"stss", 4), "edit_duration": (b"elst", 8),
        "edit_start": (b"elst", 12), "atom_size": (b"moov", -8), "frames_atom_size": (b"mdat", -8),
        "stream_record": (b"avcC", 0),
    }  # fmt: skip
    for name, (box, offset) in fields.items():
        for value, word in ((most, "huge"), (zero, "none"), (b"\xff\xff\xff\xff", "negative")):
            yield Damaged(f"header {word}", f"{name}_{word}.mp4", _lie(mp4, box, offset, value))
    for word, value in (("huge", most), ("none", zero)):
        yield Damaged(f"header {word}", f"frame_time_{word}.avi", _lie(avi, b"avih", 4, value))
        yield Damaged(f"header {word}", f"frame_count_{word}.avi", _lie(avi, b"avih", 20, value))
        yield Damaged(f"header {word}", f"rate_{word}.avi", _lie(avi, b"strh", 28, value))
    place = avi.index(b"\xff\xc0") + 5  # of a JPEG picture's height
    vast = avi.replace(avi[place - 5 : place + 4], avi[place - 5 : place] + 2 * struct.pack(">H", 16_000))
    yield Damaged("header huge", "picture_huge.avi", vast)
    yield Damaged("header huge", "duration_huge.mkv", _lie(mkv, b"\x44\x89\x88", 0, struct.pack(">d", 1e18)))
    yield Damaged("header none", "duration_nan.mkv", _lie(mkv, b"\x44\x89\x88", 0, struct.pack(">d", float("nan"))))
    yield Damaged("header huge", "tick_huge.mkv", _lie(mkv, b"\x2a\xd7\xb1\x83", 0, b"\xff\xff\xff"))


def strangers(made: dict[str, bytes], folder: Path) -> Iterator[Damaged]:
    """What is no video at all, or another one than its name says."""
    sound = clips.only_sound(folder / "sound.mp4").read_bytes()
    wave = clips.only_sound(folder / "sound.wav").read_bytes()
    png = clips.picture_file(folder / "picture.png", "png").read_bytes()
    jpeg = clips.picture_file(folder / "picture.jpg", "mjpeg").read_bytes()
    words = b"Take a biopsy. " * 60
    for name, data in {
        "empty": b"", "byte": b"\0", "line": b"\n", "text": words, "zeros": bytes(50_000), "sound": sound,
        "wave": wave, "picture": png, "photograph": jpeg, "web_page": b"<!doctype html><video src='a.mp4'></video>",
        "subtitles": b"1\n00:00:00,000 --> 00:00:09,000\nHello.\n", "zip": b"PK\3\4" + bytes(400),
        "pdf": b"%PDF-1.7\n",
        "noise": random.Random(7).randbytes(40_000), "pictures": jpeg * 12, "two_videos": made["mp4"] + made["mp4"],
        "utf16": "a lecture".encode("utf-16") * 40, "riff": b"RIFF\xff\xff\xff\xffAVI LIST", "ebml": made["mkv"][:40],
        "ftyp": made["mp4"][:32], "sdp": b"v=0\r\nm=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    }.items():  # fmt: skip
        yield Damaged("no video", f"{name}.mp4", data)
    for name, suffix in {"mp4": "avi", "mkv": "mp4", "avi": "webm", "ts": "mov", "webm": "wmv", "mpg": "mkv"}.items():
        yield Damaged("wrong extension", f"{name}_called.{suffix}", made[name])


def endless() -> Iterator[Damaged]:
    """Playlists that name themselves, each other, devices or the network, or never end."""
    lists = {
        "itself.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nitself.mp4\n",
        "live.ts": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nts_called.mov\n",
        "live.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:99\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXTINF:9,\nmp4_called.avi\n",
        "network.mp4": b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n",
        "device.mp4": b"#EXTM3U\n#EXTINF:9,\n/dev/zero\n",
        "many.mp4": b"#EXTM3U\n" + b"#EXTINF:9,\nother.mp4\n" * 20_000,
        "concat_itself.mp4": b"ffconcat version 1.0\nfile 'concat_itself.mp4'\n",
        "concat_many.mp4": b"ffconcat version 1.0\n" + b"file 'mp4_called.avi'\n" * 5_000,
        "dash.mp4": b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='dynamic'></MPD>",
        "dvd.mp4": b"CLIPINF 1.0\n",
        "smil.mp4": b"<smil><body><video src='smil.mp4' repeat='indefinite'/></body></smil>",
        "imf.mp4": b"<?xml version='1.0'?><AssetMap></AssetMap>",
    }  # fmt: skip
    for name, data in lists.items():
        yield Damaged("playlist", f"list_{name}", data)
        suffix = {b"#": "m3u8", b"f": "ffconcat", b"<": "mpd"}.get(data[:1], "lst")  # what FFmpeg knows playlists by
        yield Damaged("playlist", f"list_{name}.{suffix}", data)


def unusual(folder: Path, made: dict[str, bytes]) -> Iterator[Damaged]:
    """Files that are whole, yet unlike most: rates, sizes, pixels, time stamps, changes on the way."""
    write: Callable[..., Path] = clips.write
    steady = [100 * number for number in range(clips.FRAMES)]
    recipes: dict[str, dict[str, object]] = {
        "slow.mp4": {"rate": 0.1, "frames": 4}, "fast.mkv": {"rate": 240, "frames": 60}, "single.mp4": {"frames": 1},
        "odd.mkv": {"size": (129, 97), "pix_fmt": "yuv444p"}, "tiny.mkv": {"size": (2, 2), "pix_fmt": "yuv444p"},
        "small.mp4": {"size": (16, 16)}, "flat.mkv": {"size": (640, 2)}, "tall.mkv": {"size": (16, 640)},
        "ten_bits.mp4": {"pix_fmt": "yuv420p10le"}, "grey.mkv": {"pix_fmt": "gray"},
        "hevc_ten_bits.mkv": {"codec": "libx265", "pix_fmt": "yuv420p10le"},
        "deep.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
        "lossless.mkv": {"codec": "ffv1", "pix_fmt": "bgr0"}, "av1.webm": {"codec": "libsvtav1"},
        "old.avi": {"codec": "mpeg4"}, "moving_picture.mp4": {"codec": "gif", "pix_fmt": "rgb8", "container": "gif"},
        "moving_png.mp4": {"codec": "apng", "pix_fmt": "rgb24", "container": "apng"},
        "raw.mp4": {"container": "h264"}, "raw.avi": {"codec": "rawvideo", "size": (32, 32)},
        "later.ts": {"container": "mpegts", "rate": 25, "shift": 90_000}, "before.mkv": {"shift": -1_500},
        "before.mp4": {"shift": -1_500}, "uneven.mkv": {"times": [n * n * 10 for n in range(clips.FRAMES)]},
        "days_later.mkv": {"times": [*steady[:-1], 9 * 86_400_000]},
        "one_long.mkv": {"times": [0, 900_000], "frames": 2},
        "years.mp4": {"times": [0, 2_000_000_000], "frames": 2},
        "no_keyframe.mkv": {"keep": lambda number: number > 0}, "no_keyframe.mp4": {"keep": lambda number: number > 2},
        "never_a_keyframe.mkv": {"keep": lambda number: number > 0, "gop": 100},
        "no_keyframe.ts": {"keep": lambda number: number > 0, "container": "mpegts", "rate": 25},
        "with_gaps.mkv": {"keep": lambda number: number % 5 != 2},
    }  # fmt: skip
    for name, recipe in recipes.items():
        yield Damaged("unusual", f"unusual_{name}", write(folder / f"unusual_{name}", **recipe).read_bytes())
    other = {"container": "mpegts", "rate": 25, "size": (192, 64)}
    large = write(folder / "large.ts", **other).read_bytes()
    yield Damaged("changing size", "changing_size.ts", made["ts"] + large)
    raw = write(folder / "raw_large.mp4", **{**other, "container": "h264"}).read_bytes()
    yield Damaged("changing size", "changing_size_raw.mp4", (folder / "unusual_raw.mp4").read_bytes() + raw)
    photographs = b"".join(
        write(
            folder / f"size_{n}.mjpeg", "mjpeg", (64 + 16 * n, 64), 4, pix_fmt="yuvj420p", container="mjpeg"
        ).read_bytes()
        for n in range(3)
    )
    yield Damaged("changing size", "changing_size.avi", photographs)
    yield Damaged("twice", "twice.mpg", made["mpg"] * 2)
    yield Damaged("twice", "twice.ts", made["ts"] * 2)


def damaged_files(folder: Path, seed: int = 0) -> list[Damaged]:
    """The full set. `folder` takes the undamaged videos that the files are made from."""
    chance = random.Random(seed)
    made = clips.containers(folder)
    files: list[Damaged] = []
    for suffix, data in made.items():
        mp4 = suffix == "mp4"
        files += cut(data, suffix)
        files += flipped(data, suffix, chance, 24 if mp4 else 5)
        files += overwritten(data, suffix, chance, 20 if mp4 else 5)
    header = made["mp4"].index(b"mdat")
    files += flipped(made["mp4"], "mp4", chance, 24, end=header)
    files += flipped(made["mkv"], "mkv", chance, 8, end=600)
    for more in (lies(made), strangers(made, folder), endless(), unusual(folder, made)):
        files += more
    assert len({file.name for file in files}) == len(files)
    return files


def sample(files: list[Damaged], count: int, seed: int = 0) -> list[Damaged]:
    """`count` of them: of every family of damage some, as many of each as of any other where there are enough."""
    families: dict[str, list[Damaged]] = {}
    for file in files:
        families.setdefault(file.kind.split()[0], []).append(file)
    chance = random.Random(seed)
    for family in families.values():
        chance.shuffle(family)
    chosen: list[Damaged] = []
    while len(chosen) < count and any(families.values()):
        chosen += [family.pop() for family in families.values() if family]
    return chosen[:count]
