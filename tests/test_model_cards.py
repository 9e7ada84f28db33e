"""The card template carries metadata the Hub understands, and the notice."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

CARDS = sorted((Path(__file__).parents[1] / "model_cards").glob("*.md"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_says_what_it_is_and_is_not(path: Path) -> None:
    card = ModelCard.load(path)
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "image-text-to-text"
    assert card.data.license == "cc-by-nc-3.0"
    assert "Qwen/Qwen2.5-7B-Instruct" in card.data.base_model
    assert "never advice for care" in card.text


def test_there_is_a_card() -> None:
    assert CARDS
