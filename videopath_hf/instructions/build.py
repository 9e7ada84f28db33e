"""Instruction records of one clip, of all four kinds."""

from collections.abc import Mapping, Sequence
from typing import Any

from videopath_hf.instructions.answers import format_answer, normalise_diagnosis
from videopath_hf.instructions.questions import load_wordings, write_questions
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.instructions.template import Description
from videopath_hf.records import ClipRecord, Grounding, InstructionKind, InstructionRecord, Media, Split


class RecordBuilder:
    """Builds records out of clips and their descriptions.

    Args:
        settings (`InstructSettings`): seed, number of questions, licence.
        spellings (`Mapping[str, str]`): how to write each diagnosis, by its normalised form.
        organ_named (`bool`): whether questions name the organ.
        writer (`str`): who wrote the descriptions.
        prompt_hash (`str`): what prompts, wordings and settings hash to.
    """

    def __init__(
        self,
        settings: InstructSettings,
        spellings: Mapping[str, str],
        organ_named: bool,
        writer: str,
        prompt_hash: str,
    ) -> None:
        self.settings = settings
        self.spellings = spellings
        self.organ_named = organ_named
        self.writer = writer
        self.prompt_hash = prompt_hash
        self.wordings = load_wordings(settings.questions)

    def build(
        self, clip: ClipRecord, description: Description, split: Split, video_path: str, image_paths: Sequence[str]
    ) -> list[InstructionRecord]:
        """All records of a clip: captions and clips always, images and videos where a diagnosis is known.

        `video_path` and `image_paths` say where the clip and its key frames lie in the dataset folder.
        """
        key = normalise_diagnosis(clip.diagnosis.value) if clip.diagnosis else ""
        diagnosis = self.spellings.get(key)
        organ = clip.organ.value if clip.organ and self.organ_named else None
        asked = self.settings.questions_per_clip if split == "train" else self.settings.test_questions_per_clip
        seed = self.settings.seed
        grounding = [*description.grounding, *_named(clip, diagnosis)]
        common: dict[str, Any] = {
            "clip_id": clip.clip_id,
            "video_id": clip.video_id,
            "organ": clip.organ.value if clip.organ else None,
            "split": split,
            "source": clip.source,
            "start": clip.start,
            "end": clip.end,
            "licence": self.settings.licence,
            "writer": self.writer,
            "prompt_hash": self.prompt_hash,
            "grounding": grounding,
        }
        records = []
        for number, path in enumerate(image_paths):
            # Key frames and sentences are both in order of time: the n-th of one goes with the n-th of the other.
            caption = description.sentences[number * len(description.sentences) // len(image_paths)]
            image = Media(type="image", path=path)
            said = {**common, "grounding": [item for item in description.grounding if item.text == caption]}
            records.append(make_record(f"{clip.clip_id}_k{number}_c", "caption", image, "", caption, None, said))
            if diagnosis:
                (question,) = write_questions(
                    "image", 1, f"{clip.clip_id}_k{number}", seed, organ, wordings=self.wordings
                )
                records.append(
                    make_record(
                        f"{clip.clip_id}_k{number}_q0", "image", image, question, description.text, diagnosis, common
                    )
                )
        video = Media(type="video", path=video_path)
        requests = write_questions("clip", asked, clip.clip_id, seed, organ, diagnosis is not None, self.wordings)
        for number, question in enumerate(requests):
            name = f"{clip.clip_id}_d{number}"
            records.append(make_record(name, "clip", video, question, description.text, diagnosis, common))
        if diagnosis:
            questions = write_questions("video", asked, clip.clip_id, seed, organ, wordings=self.wordings)
            for number, question in enumerate(questions):
                name = f"{clip.clip_id}_q{number}"
                records.append(make_record(name, "video", video, question, description.text, diagnosis, common))
        return records


def _named(clip: ClipRecord, diagnosis: str | None) -> list[Grounding]:
    if diagnosis is None or (named := clip.diagnosis) is None:
        return []
    return [Grounding(text=f"Diagnosis: {diagnosis}", source=named.source, start=named.start, end=named.end)]


def make_record(
    name: str,
    kind: InstructionKind,
    media: Media,
    question: str,
    description: str,
    diagnosis: str | None,
    common: Mapping[str, Any],
) -> InstructionRecord:
    """A record of one medium, a question about it (none for a caption) and its answer; `common` has the rest."""
    answer = format_answer(description, diagnosis)
    shown: list[dict[str, str]] = [{"type": media.type, "path": media.path}]
    asked = [{"type": "text", "text": question}] if question else []
    messages = [
        {"role": "user", "content": shown + asked},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    return InstructionRecord(
        id=name,
        kind=kind,
        media=[media],
        messages=messages,
        question=question,
        answer=answer,
        description=description,
        diagnosis=diagnosis,
        **common,
    )
