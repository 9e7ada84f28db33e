"""The sound of a lecture as 16 kHz mono, laid on the video's own clock, without an ffmpeg program."""

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from videopath_hf.errors import UserError

RATE = 16_000  # Hz: what Whisper and the voice detector hear
_GAP = 0.1  # seconds without sound in the stream that are filled with silence
_LONGEST_GAP = 3600.0  # seconds: a longer one is a damaged time stamp

Samples = np.ndarray[Any, np.dtype[np.float32]]


class Sound(NamedTuple):
    """Decoded sound: int16 [samples], 2 bytes each (230 MB for two hours), and what there is to say about it."""

    samples: np.ndarray[Any, np.dtype[np.int16]]
    notes: list[str]

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.samples) / RATE

    def part(self, start: int, end: int) -> Samples:
        """Samples `start` to `end` as float32 in [-1, 1)."""
        return self.samples[start:end].astype(np.float32) / 32768.0


class _Recording:
    """Sound as it is decoded; what the stream leaves out is silence."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.end = 0.0  # seconds, by the stream's own clock
        self.notes: list[str] = []
        self._resampler = self._new_resampler()

    @staticmethod
    def _new_resampler() -> Any:
        import av

        return av.AudioResampler(format="s16", layout="mono", rate=RATE)

    def add(self, frame: Any, time: float | None) -> None:
        """Append a decoded frame that belongs at `time` seconds."""
        start = self.end if time is None else max(0.0, time)
        if start - self.end > _LONGEST_GAP:
            self.notes.append(f"the sound's clock jumps from {self.end:.1f} to {start:.1f} s; its times may be wrong")
            self.end = start
        elif start - self.end > _GAP:
            self.flush()
            self.data.extend(bytes(2 * max(0, round(start * RATE) - len(self.data) // 2)))
            self._resampler = self._new_resampler()
        for piece in self._resampler.resample(frame):
            self.data.extend(piece.to_ndarray().tobytes())
        self.end = start + frame.samples / frame.sample_rate

    def flush(self) -> None:
        """Take what the resampler still holds."""
        for piece in self._resampler.resample(None):
            self.data.extend(piece.to_ndarray().tobytes())


def load_sound(path: Path) -> Sound:
    """Decode the first audio stream to mono at 16 kHz; second 0 is where the recording starts.

    A stream that stops decoding gives what came before, with a note.

    Raises:
        UserError: the file cannot be opened, or has no audio stream.
    """
    import av

    from videopath_hf.video.container import reason

    recording = _Recording()
    try:
        container = av.open(str(path.resolve()), options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"the sound of {path} cannot be opened: {reason(error)}") from None
    with container:
        if not container.streams.audio:
            raise UserError(f"{path} has no audio stream")
        stream = container.streams.audio[0]
        origin = Fraction(container.start_time or 0, av.time_base)
        try:
            for frame in container.decode(stream):
                if frame.pts is None or frame.time_base is None:
                    recording.add(frame, None)
                else:
                    recording.add(frame, float(frame.pts * frame.time_base - origin))
            recording.flush()
        except (av.FFmpegError, OSError, ValueError) as error:
            recording.notes.append(f"the sound does not decode after {recording.end:.1f} s ({reason(error)})")
    return Sound(np.frombuffer(recording.data, dtype=np.int16), recording.notes)
