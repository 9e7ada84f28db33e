"""How long a record is for a model: its text in tokens, and what its media become."""

from pathlib import Path
from typing import Any, Protocol

from videopath_hf.data.checks.media import Look
from videopath_hf.data.messages import message_text
from videopath_hf.errors import UserError
from videopath_hf.records import InstructionRecord


class Ruler(Protocol):
    """Measures records; `unit` says in what, and `visual` whether media are measured too."""

    unit: str
    visual: bool

    def text(self, record: InstructionRecord) -> int:
        """Length of what is said."""
        ...

    def medium(self, kind: str, look: Look) -> int:
        """Length of a sound medium."""
        ...


class WordRuler:
    """Words, where no tokenizer is given; media are not measured."""

    unit = "words"
    visual = False

    def text(self, record: InstructionRecord) -> int:
        """Words of all messages."""
        return sum(len(message_text(message["content"]).split()) for message in record.messages)

    def medium(self, kind: str, look: Look) -> int:
        """Nothing."""
        return 0


class TokenRuler:
    """Tokens of a conversation's text by a tokenizer; media are not measured."""

    unit = "tokens"
    visual = False

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def text(self, record: InstructionRecord) -> int:
        """Tokens of all messages, without those of a chat template."""
        words = [message_text(message["content"]) for message in record.messages]
        return sum(len(ids) for ids in self.tokenizer(words, add_special_tokens=False)["input_ids"])

    def medium(self, kind: str, look: Look) -> int:
        """Nothing."""
        return 0


class ModelRuler:
    """Tokens as training counts them: the chat template's too, and those of images and clips.

    Args:
        processor (`Any`): of a model of this package.
        num_frames (`int`): most frames taken of a clip.
    """

    unit = "tokens"
    visual = True

    def __init__(self, processor: Any, num_frames: int) -> None:
        self.processor = processor
        self.num_frames = num_frames

    def text(self, record: InstructionRecord) -> int:
        """Tokens of the conversation without its media."""
        prompt = self.processor.apply_chat_template(list(record.messages), tokenize=False)
        return len(self.processor.tokenizer(prompt)["input_ids"]) - len(record.media)

    def medium(self, kind: str, look: Look) -> int:
        """Tokens that a medium becomes."""
        size = (look.height, look.width)
        if kind == "image":
            counted = self.processor._get_num_multimodal_tokens(image_sizes=[size])["num_image_tokens"]
        else:
            frames = min(look.frames, self.num_frames)
            counted = self.processor._get_num_multimodal_tokens(video_sizes=[(frames, *size)])["num_video_tokens"]
        return int(counted[0])


def load_ruler(name: str | None, num_frames: int) -> Ruler:
    """What measures records: words without a name; of a model's folder or Hub id, its tokens.

    Raises:
        UserError: neither a processor nor a tokenizer can be loaded by that name.
    """
    if name is None:
        return WordRuler()
    from transformers import AutoProcessor, AutoTokenizer

    try:
        if not Path(name).is_dir() or (Path(name) / "processor_config.json").exists():
            processor = AutoProcessor.from_pretrained(name)
            if hasattr(processor, "layout"):
                return ModelRuler(processor, num_frames)
        return TokenRuler(AutoTokenizer.from_pretrained(name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"--tokenizer {name} gives no tokenizer or processor: {why}") from None
