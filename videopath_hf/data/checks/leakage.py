"""Whether test data are in the training data too: the same source video, the same file, or frames that look alike."""

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from pydantic import BaseModel

from videopath_hf.curation.settings import QualitySettings
from videopath_hf.data.batches import batches
from videopath_hf.data.checks.media import MediaLooker
from videopath_hf.data.checks.survey import Survey, Use
from videopath_hf.data.sources import Source
from videopath_hf.progress import note, track
from videopath_hf.records import Record

_BATCH = 64


class Leak(Record):
    """A source video, a file or a pair of media that is in train and in test; `distance` in bits of 64."""

    what: str
    train: str
    test: str
    share: float | None = None
    distance: float | None = None


class Leakage(BaseModel):
    """What of the test records is in train.

    Args:
        videos (`int`): source videos of both; `video_share` of the test records are about them.
        files (`int`): media files of both.
        pairs (`int`): media that look alike; `pair_share` of the compared test media are in one.
        compared (`dict[str, int]`): media whose frames were compared, by split, and `of` how many.
        unhashed (`int`): media without a frame to compare by: nearly empty ones, or damaged behind the first frame.
        skipped (`str`, *optional*): why no frames were compared.
        leaks (`list[Leak]`): all of them.
    """

    videos: int = 0
    video_share: float = 0.0
    files: int = 0
    pairs: int = 0
    pair_share: float = 0.0
    compared: dict[str, int] = {}
    of: dict[str, int] = {}
    unhashed: int = 0
    skipped: str | None = None
    leaks: list[Leak] = []

    @property
    def share(self) -> float:
        """The larger of the two shares."""
        return max(self.video_share, self.pair_share)


def find_leakage(survey: Survey, sources: Sequence[Source], looker: MediaLooker, limit: int) -> Leakage:
    """Compare what train and test show.

    Args:
        survey (`Survey`): of all records.
        sources (`Sequence[Source]`): where the media are.
        looker (`MediaLooker`): opens them.
        limit (`int`): media of each split whose frames are compared, chosen by a hash of their paths; 0 for none.
    """
    tested = survey.total("test")
    if not tested or not survey.total("train"):
        return Leakage(skipped="there is only one split")
    videos = survey.uses.shared_videos()
    files = survey.uses.shared_media()
    leaks = [Leak(what="video", train=name, test=name) for name, _, _ in videos]
    leaks += [Leak(what="file", train=path, test=path) for path in files]
    result = Leakage(
        videos=len(videos),
        video_share=round(sum(test for _, _, test in videos) / tested, 4),
        files=len(files),
        leaks=leaks,
    )
    if not limit:
        return result.model_copy(update={"skipped": "it was not asked for (--leak-media 0)"})
    if find_spec("cv2") is None:
        return result.model_copy(update={"skipped": "it needs OpenCV: pip install 'videopath-hf[curate]'"})
    return _compare_frames(result, survey, sources, looker, limit)


def _compare_frames(
    result: Leakage, survey: Survey, sources: Sequence[Source], looker: MediaLooker, limit: int
) -> Leakage:
    from videopath_hf.curation.duplicates import find_across

    hashes: dict[str, dict[str, list[str]]] = {}
    of = {}
    unhashed = 0
    for split in ("train", "test"):
        of[split] = sum(1 for _ in survey.uses.sound_media(split))
        chosen = sorted(_sample(survey.uses.sound_media(split), limit), key=lambda use: use.medium.path)
        hashes[split] = {}
        for batch in batches(track(chosen, f"Comparing frames of {split}", len(chosen)), _BATCH):
            seen = looker.hashes([(sources[use.number].stores, use.medium) for use in batch])
            for use, values in zip(batch, seen, strict=True):
                if values:
                    hashes[split][f"{sources[use.number].path.name}:{use.medium.path}"] = values
                else:
                    unhashed += 1
    settings = QualitySettings()
    alike = find_across(hashes["train"], hashes["test"], settings.duplicate_bits, settings.duplicate_share)
    leaks = [
        Leak(what="frames", train=train, test=test, share=share, distance=distance)
        for train, test, share, distance in alike
    ]
    tested = {test for _, test, _, _ in alike}
    for split, total in of.items():
        if total > limit:
            note(f"frames of {limit} of the {total} media of {split} were compared; --leak-media compares more")
    return result.model_copy(
        update={
            "pairs": len(alike),
            "pair_share": round(len(tested) / max(1, len(hashes["test"])), 4),
            "compared": {split: len(values) for split, values in hashes.items()},
            "of": of,
            "unhashed": unhashed,
            "leaks": result.leaks + leaks,
        }
    )


def _sample(uses: Iterable[Use], limit: int) -> list[Use]:
    def rank(use: Use) -> bytes:
        return hashlib.sha256(use.medium.path.encode()).digest()

    return heapq.nsmallest(limit, uses, key=rank)
