"""A saved folder carries the code it needs, so that it opens with `trust_remote_code=True` where we are not installed.

The files copied beside the weights are this package's own modules: those of the model, and what they import of the
package, decoding of video included. Imports of the package are turned into imports of the file beside. An import
within `try:` is optional, here as in transformers' own check of such files, and is not followed.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # transformers copies what a module imports by name, and only that: so each of these files brings all the others,
    # and what was opened from a saved folder can be saved again.
    from .image_processing_videopath_llava import VideoPathLlavaImageProcessor  # noqa: F401
    from .modeling_videopath_llava import VideoPathLlavaModel  # noqa: F401
    from .processing_videopath_llava import VideoPathLlavaProcessor  # noqa: F401
    from .video_processing_videopath_llava import VideoPathLlavaVideoProcessor  # noqa: F401

_SUFFIX = "_videopath_llava"
_PACKAGE = "videopath_hf"
_IMPORT = re.compile(rf"^(\s*)from {_PACKAGE}\.([\w.]+) import", flags=re.MULTILINE)

CONFIG_CLASSES = {
    "AutoConfig": f"configuration{_SUFFIX}.VideoPathLlavaConfig",
    "AutoModel": f"modeling{_SUFFIX}.VideoPathLlavaModel",
    "AutoModelForImageTextToText": f"modeling{_SUFFIX}.VideoPathLlavaForConditionalGeneration",
    "AutoModelForMultimodalLM": f"modeling{_SUFFIX}.VideoPathLlavaForConditionalGeneration",
}
PROCESSOR_CLASSES = {
    "AutoProcessor": f"processing{_SUFFIX}.VideoPathLlavaProcessor",
    "AutoImageProcessor": f"image_processing{_SUFFIX}.VideoPathLlavaImageProcessor",
    "AutoVideoProcessor": f"video_processing{_SUFFIX}.VideoPathLlavaVideoProcessor",
}
AUTO_MAP = {**CONFIG_CLASSES, **PROCESSOR_CLASSES}
"""Auto classes of transformers, and the file and class each of them opens in a saved folder."""


class CarriesCode:
    """Mixin of what is saved: sets `auto_map` and copies the code beside.

    Args:
        auto_classes (`dict[str, str]`): class attribute, the part of [`AUTO_MAP`] the saved settings are to have.
    """

    auto_classes: dict[str, str] = {}  # noqa: RUF012

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """The parent's `save_pretrained`; the folder then works without this package, too."""
        self._point_to_code()
        copy_code(save_directory)
        return super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]

    def _point_to_code(self) -> None:
        """Set `auto_map` in what is about to be written, and in its parts."""
        self.auto_map = dict(self.auto_classes)
        for part in vars(self).values():
            if isinstance(part, CarriesCode):
                part._point_to_code()


def copy_code(folder: str | Path) -> list[Path]:
    """Write the model's modules, and those of the package they import, into `folder`; returns the files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in code_files().items():
        target = folder / name
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
        written.append(target)
    return written


@cache
def code_files() -> dict[str, str]:
    """Names and texts of the files a saved folder needs, found by following imports from this one."""
    here = Path(__file__).parent
    waiting = [Path(__file__)]
    found: dict[Path, str] = {}
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        text = file.read_text(encoding="utf-8")
        imports = _imports(ast.parse(text))
        for level, module in imports:
            parts = module.split(".")
            target = file.parent.joinpath(*parts) if level else here.parent.joinpath(*parts[1:])
            waiting.append(target.with_suffix(".py"))
        found[file] = _relative(text, {module for level, module in imports if not level})
    return {_flat_file(file, here): text for file, text in sorted(found.items())}


def _imports(node: ast.AST) -> list[tuple[int, str]]:
    """Level and name of every module of ours that is imported, optional imports left out."""
    if isinstance(node, ast.Try):
        return []
    if isinstance(node, ast.ImportFrom) and node.module and (node.level or node.module.startswith(f"{_PACKAGE}.")):
        return [(node.level, node.module)]
    return [found for child in ast.iter_child_nodes(node) for found in _imports(child)]


def _relative(text: str, modules: set[str]) -> str:
    """The text with imports of these modules of the package as imports of the files beside."""

    def change(match: re.Match[str]) -> str:
        module = f"{_PACKAGE}.{match[2]}"
        return f"{match[1]}from .{_flat(match[2])} import" if module in modules else match[0]

    return _IMPORT.sub(change, text)


def _flat(module: str) -> str:
    """Name beside the weights of a module of the package, e.g. `video_decode` of `video.decode`."""
    name = module.removeprefix("modeling.").replace(".", "_")
    return name if name.endswith(_SUFFIX) else f"{name}{_SUFFIX}"


def _flat_file(file: Path, here: Path) -> str:
    if file.parent == here:
        return file.name
    return _flat(".".join(file.relative_to(here.parent).with_suffix("").parts)) + ".py"
