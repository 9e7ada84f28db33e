"""Prompts as files: Jinja text in YAML, one file a route, that a user can copy, change and name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.files import content_hash
from videopath_hf.settings import read_yaml

PROMPTS = Path(__file__).parent
"""Folder of the files that ship."""
_VARIABLES = {"material": "{}", "statements": "{}", "media": "keyframes"}


class PromptFile:
    """The prompts of one route.

    Args:
        route (`str`): whose prompts they must be.
        names (`tuple[str, ...]`): which prompts the file must hold.
        path (`Path`, *optional*): the file; the one that ships if omitted.

    Raises:
        UserError: the file is missing, of another route, lacks a prompt, or holds one that is no valid template.
    """

    def __init__(self, route: str, names: tuple[str, ...], path: Path | None = None) -> None:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        path = path or PROMPTS / f"{route}.yaml"
        data = read_yaml(path)
        if data.get("route") != route:
            raise UserError(f"{path}: route is {data.get('route')!r}; writer={route} needs a file of route {route!r}")
        if set(data) != {"route", "version", *names}:
            wrong = sorted(set(data) ^ {"route", "version", *names})
            raise UserError(f"{path}: wrong or missing keys: {', '.join(wrong)}; needed: version, {', '.join(names)}")
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
        self._templates = {}
        for name in names:
            try:
                self._templates[name] = environment.from_string(str(data[name]))
                self._templates[name].render(_VARIABLES)
            except TemplateError as error:
                known = ", ".join(_VARIABLES)
                raise UserError(f"{path}: prompt {name!r} is no valid template: {error}; known: {known}") from None
        self.version = data["version"]
        self.hash = content_hash(data)

    def render(self, name: str, variables: Mapping[str, Any]) -> str:
        """The text of a prompt."""
        return self._templates[name].render(variables)
