"""Blocks that misbehave, for tests of what a run makes of them, by name from its settings."""

import os
import signal
import time

from videopath_hf.curation.block import Block, Count, LectureState
from videopath_hf.curation.blocks import Probe


class Crashing(Probe):
    """A decoder that ends its process on a lecture called `bad`."""

    def run(self, state: LectureState) -> Count:
        if state.lecture.video_id.startswith("bad"):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().run(state)


class Hanging(Probe):
    """A decoder that never comes back from a lecture called `bad`."""

    def run(self, state: LectureState) -> Count:
        while state.lecture.video_id.startswith("bad"):
            time.sleep(0.1)
        return super().run(state)


class Endless(Probe):
    """A decoder that gives frame after frame of a lecture called `bad`."""

    def run(self, state: LectureState) -> Count:
        while state.lecture.video_id.startswith("bad"):
            state.listener.beat(1, None)
            time.sleep(0.1)
        return super().run(state)


class Broken(Block):
    """A block with a mistake in it."""

    name = "broken"
    needs = ("clips",)

    def run(self, state: LectureState) -> Count:
        raise ZeroDivisionError("division by zero")


class Shortest(Block):
    """A filter of a user's own: keeps clips of at least as many frames as its section says."""

    name = "shortest"
    needs = ("clips",)
    gives = ("clips",)

    def run(self, state: LectureState) -> Count:
        seen = state.clips
        state.clips = [clip for clip in seen if clip.frames >= state.settings.own["shortest"]["frames"]]
        for clip in seen:
            if clip not in state.clips:
                state.reject(self.name, clip.start, clip.end, "few frames", {"frames": clip.frames})
        return Count(len(seen), len(state.clips), len(seen) - len(state.clips))


class Stuck(Block):
    """A block after the decoder that never comes back from a lecture called `bad`."""

    name = "stuck"
    watched = True

    def run(self, state: LectureState) -> Count:
        while state.lecture.video_id.startswith("bad"):
            time.sleep(0.1)
        return Count(1, 1, 0)
