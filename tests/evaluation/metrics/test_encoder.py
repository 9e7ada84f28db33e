import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.evaluation.metrics import MetricSettings, encoder
from videopath_hf.evaluation.metrics.encoder import ContextEncoder, Encoder, StaticEncoder, encoder_similarity
from videopath_hf.evaluation.metrics.words import plain_words

REFERENCE = "The villi are flat and the crypts are long. The surface is crowded with lymphocytes."
NEAR = "There is blunting of villi with crypt hyperplasia and many lymphocytes."
FAR = "The train leaves at nine and the weather is fine."


class Letters:
    """Tokens are letters, each at a right angle to the others."""

    name = identity = "letters"

    def encode(self, text: str) -> Any:
        return np.eye(26, dtype=np.float32)[[ord(char) - 97 for char in text]]


def values(prediction: str | None, reference: str | None, by: Encoder) -> list[float | None]:
    return [score.value for score in encoder_similarity("a", prediction, reference, by)]


def test_precision_recall_and_f_are_of_greedy_matches() -> None:
    # Of "abcx" three of four are in the reference; of "abcde" three of five are in the answer.
    assert values("abcx", "abcde", Letters()) == pytest.approx([3 / 4, 3 / 5, 2 * 0.75 * 0.6 / 1.35])
    assert values("", "abc", Letters()) == [0, 0, 0]
    assert values(None, "abc", Letters()) == [None] * 3
    assert [score.applies for score in encoder_similarity("a", "abc", None, Letters())] == [False] * 3


def test_the_packaged_encoder_tells_a_paraphrase_from_another_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    if not encoder.packaged_encoder_is_there():
        pytest.skip("wordllama is not installed (the extra `encoder`)")
    monkeypatch.delitem(sys.modules, "wordllama", raising=False)  # others may have tried whether it imports
    by = StaticEncoder()
    same, near, far = (values(text, REFERENCE, by)[2] for text in (REFERENCE, NEAR, FAR))
    assert same == pytest.approx(1)
    assert 0.9 > (near or 0) > (far or 0) + 0.1
    assert "wordllama" not in sys.modules, "only its files are read"


def test_the_packaged_encoder_is_the_default_where_it_is_installed_and_is_asked_for_by_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder, "find_spec", lambda name: None)
    assert MetricSettings().load_encoder() is None
    with pytest.raises(MissingExtraError, match=r"pip install 'videopath-hf\[encoder\]'"):
        StaticEncoder()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with random weights and 16 positions."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *sorted(set(plain_words(REFERENCE)))]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=16).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_any_encoder_of_a_folder_is_used_and_longer_texts_are_read_in_pieces(small: Path) -> None:
    by = ContextEncoder(str(small))
    assert by.encode(REFERENCE).shape == (17, 8)
    assert by.encode("villi " * 40).shape == (40, 8)
    assert by.encode("").shape == (0, 8)
    assert np.allclose(np.linalg.norm(by.encode(REFERENCE), axis=1), 1, atol=1e-5)
    assert values(REFERENCE, REFERENCE, by)[2] == pytest.approx(1, abs=1e-5)


def test_weights_decide_what_an_encoder_is(small: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(small, tmp_path / "copy")
    assert ContextEncoder(str(tmp_path / "copy")).identity == ContextEncoder(str(small)).identity
    data = bytearray((small / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "copy" / "model.safetensors").write_bytes(data)
    assert ContextEncoder(str(tmp_path / "copy")).identity != ContextEncoder(str(small)).identity


def test_weights_in_pickles_and_what_is_no_encoder_are_refused(small: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    shutil.copytree(small, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pickled" / "pytorch_model.bin")
    for name in ("pickled", "nowhere"):
        with pytest.raises(UserError, match=f"encoder .*{name} cannot be loaded"):
            ContextEncoder(str(tmp_path / name))


def test_a_real_encoder_puts_a_paraphrase_before_another_subject() -> None:
    root = os.environ.get("VIDEOPATH_OFFLINE_MODELS")
    if not root or not (Path(root) / "minilm").is_dir():
        pytest.skip("VIDEOPATH_OFFLINE_MODELS names no folder with minilm")
    by = ContextEncoder(str(Path(root) / "minilm"))
    near, far = (values(text, REFERENCE, by)[2] or 0 for text in (NEAR, FAR))
    assert near > far + 0.2
