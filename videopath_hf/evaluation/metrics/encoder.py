"""How near the words of an answer are to the reference's for an encoder, in the manner of BERTScore."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.evaluation.metrics.summary import no_answer, not_applicable
from videopath_hf.files import content_hash, file_sha256
from videopath_hf.records import Score

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ENCODER_METRICS = ("encoder_precision", "encoder_recall", "encoder_f1")
PACKAGED = "wordllama"

Vectors = np.ndarray[Any, np.dtype[np.float32]]


class Encoder(Protocol):
    """Turns words into vectors; `identity` changes when these do."""

    name: str
    identity: str

    def encode(self, text: str) -> Vectors:
        """Vectors [tokens, dimensions] of length 1 of a text's tokens, float32."""
        ...


class StaticEncoder:
    """The token vectors that the package `wordllama` (MIT) carries: 32,000 of 256 dimensions, none seen in context.

    They are read from its files; none of its code runs.

    Raises:
        MissingExtraError: it is not installed.
    """

    name = PACKAGED

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise MissingExtraError("wordllama", "encoder", "the similarity of answers by an encoder")
        root = Path(spec.origin).parent
        weights = root / "weights" / "l2_supercat_256.safetensors"
        try:
            self._tokenizer = Tokenizer.from_file(str(root / "tokenizers" / "l2_supercat_tokenizer_config.json"))
            (table,) = load_file(weights).values()
        except Exception as error:  # `tokenizers` raises bare ones
            raise UserError(
                f"the files of wordllama in {root} cannot be read ({error}); install wordllama 0.4"
            ) from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._table: Vectors = _unit(table.astype(np.float32))
        self.identity = content_hash(file_sha256(weights))

    def encode(self, text: str) -> Vectors:
        """One vector a token."""
        return self._table[self._tokenizer.encode(text, add_special_tokens=False).ids]


class ContextEncoder:
    """The last hidden states of a transformers encoder; texts longer than it takes are read in pieces.

    Args:
        name (`str`): folder or Hub id; only safetensors are loaded, and no code that comes with it.

    Raises:
        UserError: there is none, or it is no text encoder.
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.name = name
        try:
            self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
            self._model: PreTrainedModel = AutoModel.from_pretrained(name, use_safetensors=True).eval()
        except (OSError, ValueError, KeyError) as error:
            why = " ".join(str(error).split())[:200]
            raise UserError(
                f"encoder {name} cannot be loaded: {why}; give the folder or Hub id of a text encoder with safetensors"
            ) from None
        positions = getattr(self._model.config, "max_position_embeddings", None) or 512
        offset = (getattr(self._model.config, "pad_token_id", 0) or 0) + 1  # RoBERTa counts positions from there
        self._longest = max(8, min(positions - offset, self._tokenizer.model_max_length))
        self.identity = _identity(name, self._model)

    def encode(self, text: str) -> Vectors:
        """One vector a token, without those of special tokens."""
        import torch

        pieces = self._tokenizer(
            text,
            truncation=True,
            max_length=self._longest,
            return_overflowing_tokens=True,
            return_special_tokens_mask=True,
        )
        vectors = []
        for ids, special in zip(pieces["input_ids"], pieces["special_tokens_mask"], strict=True):
            with torch.inference_mode():
                states = self._model(input_ids=torch.tensor([ids])).last_hidden_state[0]
            vectors.append(states[~torch.tensor(special, dtype=torch.bool)].float().numpy())
        return _unit(np.concatenate(vectors))


@lru_cache(maxsize=2)
def load_encoder(name: str) -> Encoder:
    """The encoder of a name: `"wordllama"`, or a folder or Hub id.

    Raises:
        UserError: it cannot be loaded.
    """
    return StaticEncoder() if name == PACKAGED and not Path(name).is_dir() else ContextEncoder(name)


def packaged_encoder_is_there() -> bool:
    """Whether the extra `encoder` is installed."""
    return find_spec("wordllama") is not None


def encoder_similarity(name: str, prediction: str | None, reference: str | None, encoder: Encoder) -> list[Score]:
    """Precision, recall and F of greedy token matching by cosine (BERTScore, arXiv 1904.09675), 0 to 1.

    Every token of the answer is matched with the reference's nearest one for precision, and the other way round for
    recall; no weights by rarity, no rescaling. Figures of two encoders cannot be compared.

    Args:
        name (`str`): id of the record.
        prediction (`str`, *optional*), reference (`str`, *optional*): the texts; null where either is None.
        encoder (`Encoder`): what makes vectors of tokens.
    """
    if reference is None:
        return [not_applicable(name, metric, "there is no reference") for metric in ENCODER_METRICS]
    if prediction is None:
        return [no_answer(name, metric) for metric in ENCODER_METRICS]
    said, wanted = encoder.encode(prediction), encoder.encode(reference)
    if not len(said) or not len(wanted):
        reason = f"the {'reference' if len(said) else 'answer'} has no words"
        return [Score(id=name, metric=metric, value=0.0, reason=reason) for metric in ENCODER_METRICS]
    cosines = said @ wanted.T
    precision, recall = (float(np.clip(cosines.max(axis).mean(), 0, 1)) for axis in (1, 0))
    both = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    values = (precision, recall, both)
    return [Score(id=name, metric=metric, value=value) for metric, value in zip(ENCODER_METRICS, values, strict=True)]


def _identity(name: str, model: "PreTrainedModel") -> str:
    files: Sequence[Path] = sorted(Path(name).glob("*.safetensors")) if Path(name).is_dir() else []
    return content_hash([file_sha256(path) for path in files] or [name, getattr(model.config, "_commit_hash", None)])


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
