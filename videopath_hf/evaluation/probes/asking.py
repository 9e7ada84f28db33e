"""The same questions about clips that are shown in many ways."""

import random
import time
from collections.abc import Iterator, Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from videopath_hf.data.media import media_paths
from videopath_hf.evaluation.probes.settings import Probe, ProbeSettings
from videopath_hf.evaluation.probes.showing import Clip, Pixels, black_image, needle_frame, read_media, shown
from videopath_hf.evaluation.probes.summary import ProbeAnswer
from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.llm.log import AppendLog
from videopath_hf.modeling.session import DecodedVideo, VideoSession
from videopath_hf.progress import track
from videopath_hf.records import InstructionRecord
from videopath_hf.video.container import VideoError

_KEPT = 64  # needles that are kept decoded


class Asker:
    """Asks one model about records under every probe.

    Args:
        model (`str` or `Path`): checkpoint folder or Hub id; loaded with the first question.
        data (`Path`): root of the records' media.
        records (`Sequence[InstructionRecord]`): all of them.
        settings (`ProbeSettings`): which probes, and how.

    `failures` names the records without an answer, `donors` the record whose tissue each one's needle is from.
    """

    def __init__(
        self, model: str | Path, data: Path, records: Sequence[InstructionRecord], settings: ProbeSettings
    ) -> None:
        self.model, self.data, self.records, self.settings = model, data, records, settings
        self.failures: dict[str, str] = {}
        self.donors = {record.id: find_donor(record, records, settings.seed) for record in records}
        self._needles: dict[str, Pixels] = {}

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from videopath_hf.modeling.loading import load_model

        model, processor = load_model(self.model, self.settings.dtype, self.settings.device)
        processor.video_processor.num_frames = self.settings.num_frames
        processor.video_processor.sampling = self.settings.sampling
        return model, processor

    def asked(self, probe: Probe) -> list[InstructionRecord]:
        """The records that a probe is for: a needle needs one of another tissue."""
        return [record for record in self.records if probe.kind != "needle" or self.donors[record.id] is not None]

    def ask_all(self, path: Path) -> dict[tuple[str, Probe], ProbeAnswer]:
        """All answers by record and probe, those that are in the log `path` already included."""
        wanted = {(record.id, probe) for probe in self.settings.probes() for record in self.asked(probe)}
        with AppendLog(path, ProbeAnswer) as log:
            done = {answer.key: answer for answer in log.entries}
            groups: dict[tuple[str, ...], list[InstructionRecord]] = {}
            for record in self.records:
                groups.setdefault(tuple(item.path for item in record.media), []).append(record)
            for group in track(groups.values(), "Probing clips", total=len(groups)):
                missing = [key for record in group for key in wanted - done.keys() if key[0] == record.id]
                for answer in self._ask_group(group, set(missing)) if missing else ():
                    log.append(answer)
                    done[answer.key] = answer
        return {key: answer for key, answer in done.items() if key in wanted}

    def _ask_group(self, group: Sequence[InstructionRecord], missing: Set[tuple[str, Probe]]) -> Iterator[ProbeAnswer]:
        """Answers about the same media, which are decoded once."""
        try:
            media = self.read(group[0])
        except (VideoError, ValueError) as error:
            self.failures.update((record.id, str(error)) for record in group)
            return
        for probe in self.settings.probes():
            asked = [record for record in group if (record.id, probe) in missing]
            if not asked:
                continue
            try:
                yield from self._ask_probe(asked, probe, media)
            except (VideoError, ValueError) as error:
                for record in asked:
                    self.failures.setdefault(record.id, f"{probe}: {error}")

    def _ask_probe(
        self, asked: Sequence[InstructionRecord], probe: Probe, media: Sequence[Any]
    ) -> Iterator[ProbeAnswer]:
        model, processor = self._loaded
        start = time.perf_counter()
        pictures = self.show(asked[0], probe, media)
        session = VideoSession(model, processor, pictures) if probe.kind != "no_frames" else None
        for record in asked:
            if session is None:
                text = ask_without_media(model, processor, record.question, self.settings.max_new_tokens)
            else:
                text = session.ask(record.question, self.settings.max_new_tokens).text
            done = time.perf_counter()
            donor = self.donors[record.id] if probe.kind == "needle" else None
            yield ProbeAnswer(
                id=record.id,
                probe=probe.kind,
                amount=probe.amount,
                answer=text,
                frames=sum(len(item.frames) for item in pictures if isinstance(item, DecodedVideo)),
                needle=donor.id if donor else None,
                seconds=round(done - start, 4),
            )
            start = done

    def read(self, record: InstructionRecord) -> list[Any]:
        """A record's media, decoded for all probes; raises `VideoError` or `ValueError` where one cannot be read."""
        return read_media(self._loaded[1], media_paths(self.data, record), self.settings.frames)

    def show(self, record: InstructionRecord, probe: Probe, media: Sequence[Any]) -> list[Any]:
        """What a session is given of a record's media under a probe; of several videos the first has the needle."""
        if probe.kind == "no_frames":
            return []
        donor = self.donors[record.id] if probe.kind == "needle" else None
        needle = self._needle(donor) if donor else None
        pictures: list[Any] = []
        for number, (medium, item) in enumerate(zip(record.media, media, strict=True)):
            if isinstance(item, Clip):
                pictures.append(shown(probe, item, f"{self.settings.seed}:{number}:{medium.path}", needle))
                needle = None
            else:
                pictures.append(black_image(item) if probe == Probe("black", 1.0) else item)
        return pictures

    def _needle(self, donor: InstructionRecord) -> Pixels:
        paths = media_paths(self.data, donor)
        path = next(path for path, item in zip(paths, donor.media, strict=True) if item.type == "video")
        if str(path) not in self._needles:
            if len(self._needles) == _KEPT:
                self._needles.clear()
            self._needles[str(path)] = needle_frame(self._loaded[1], path)
        return self._needles[str(path)]


def find_donor(record: InstructionRecord, others: Sequence[InstructionRecord], seed: int) -> InstructionRecord | None:
    """A record of another tissue: of another organ where both are known, else of another diagnosis; or None."""

    def differs(other: InstructionRecord) -> bool:
        if record.organ and other.organ:
            return record.organ != other.organ
        if record.diagnosis is None or other.diagnosis is None:
            return False
        return normalise_diagnosis(record.diagnosis) != normalise_diagnosis(other.diagnosis)

    found = [other for other in others if other.media != record.media and differs(other)]
    # Records about the same media have the same needle.
    place = ",".join(item.path for item in record.media)
    return random.Random(f"{seed}:{place}").choice(found) if found else None


def ask_without_media(model: Any, processor: Any, question: str, max_new_tokens: int) -> str:
    """The answer to a question that shows nothing at all."""
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "text", "text": question}]}], tokenize=False, add_generation_prompt=True
    )
    ids = processor.tokenizer(prompt, return_tensors="pt")["input_ids"].to(model.device)
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_new_tokens
        )
    return str(processor.decode(output[0, ids.shape[1] :].tolist(), skip_special_tokens=True)).strip()
