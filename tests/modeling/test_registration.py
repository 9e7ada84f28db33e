import os
import subprocess
import sys
from pathlib import Path

import pytest

ORDERS = {
    "ours_first": "import videopath_hf; import transformers",
    "transformers_first": "from transformers import AutoModel, AutoProcessor; import videopath_hf",
    "our_configuration_first": "import videopath_hf.modeling.configuration_videopath_llava",
    "our_model_first": "import videopath_hf.modeling.modeling_videopath_llava",
    "our_processor_first": "import videopath_hf.modeling.processing_videopath_llava",
    "trl_after_ours": "import videopath_hf; from trl import SFTTrainer",
}
ROUND = """
import sys
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageTextToText
from transformers import AutoModelForMultimodalLM, AutoProcessor, AutoTokenizer, AutoVideoProcessor
path = sys.argv[1]
print(*(type(auto.from_pretrained(path)).__name__ for auto in (
    AutoProcessor, AutoImageProcessor, AutoVideoProcessor, AutoConfig, AutoModel, AutoModelForImageTextToText,
    AutoModelForMultimodalLM)))
"""
NAMES = [
    "VideoPathLlavaProcessor",
    "VideoPathLlavaImageProcessor",
    "VideoPathLlavaVideoProcessor",
    "VideoPathLlavaConfig",
    "VideoPathLlavaModel",
    "VideoPathLlavaForConditionalGeneration",
    "VideoPathLlavaForConditionalGeneration",
]


def run(code: str, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "order", [order if order.endswith("s_first") else pytest.param(order, marks=pytest.mark.slow) for order in ORDERS]
)
def test_auto_classes_open_a_checkpoint_in_a_fresh_process(order: str, checkpoint: Path) -> None:
    assert run(ORDERS[order] + ROUND, str(checkpoint)).split()[-len(NAMES) :] == NAMES


def test_importing_the_package_beside_transformers_reads_none_of_our_model_code() -> None:
    code = "import videopath_hf, sys; from transformers import AutoModel, AutoProcessor, Qwen2ForCausalLM; "
    assert run(code + "print([name for name in sys.modules if name.endswith('_videopath_llava')])").strip() == "[]"


def test_registering_twice_changes_nothing() -> None:
    from transformers.models.auto import configuration_auto

    from videopath_hf.modeling.registration import register_config

    before = configuration_auto.CONFIG_MAPPING._extra_content
    register_config(configuration_auto)
    assert configuration_auto.CONFIG_MAPPING._extra_content is before
