"""Configuration: closed, typed settings filled from YAML and `key=value` overrides."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from videopath_hf.errors import UserError

SettingsT = TypeVar("SettingsT", bound="Settings")


class Settings(BaseModel):
    """Base of every configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def load_settings(
    cls: type[SettingsT], path: str | Path | None = None, overrides: Sequence[str] = (), **values: Any
) -> SettingsT:
    """Fill `cls` from a YAML file, then from `key=value` overrides (dots reach into sections), then from `values`.

    Raises:
        UserError: for a file that is missing or not a mapping, and for an unknown key or a value of the wrong type;
            it names the key, the value seen and, for an unknown key, the nearest one that exists.
    """
    data = read_yaml(path) if path is not None else {}
    for override in overrides:
        _apply_override(data, override)
    data.update(values)
    return validate_settings(cls, data, str(path or cls.__name__))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping; raises `UserError` where the file is missing, not YAML, or not a mapping."""
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"configuration file {path} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"configuration file {path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise UserError(f"configuration file {path} must be a mapping of keys to values, not {type(data).__name__}")
    return data


def validate_settings(cls: type[SettingsT], data: dict[str, Any], origin: str) -> SettingsT:
    """Build `cls` from `data`; raises one-sentence `UserError` that names `origin` and the key at fault."""
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{origin}: {_explain(cls, error)}") from None


def _explain(cls: type[BaseModel], error: ValidationError) -> str:
    # A misspelt key is often the cause of a missing one.
    first = next((fault for fault in error.errors() if fault["type"] == "extra_forbidden"), error.errors()[0])
    key = ".".join(str(part) for part in first["loc"]) or "value"
    if first["type"] != "extra_forbidden":
        message = first["msg"].removeprefix("Value error, ")
        message = f"{message[0].lower()}{message[1:]}"
        # Of a rule about several keys, or of a key that is missing, the input is the whole section.
        section = first["type"] in ("missing", "value_error") and isinstance(first.get("input"), dict)
        return f"{key}: {message}" if section else f"{key} = {first.get('input')!r}: {message}"
    known = _field_names(cls, first["loc"][:-1])
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key {key!r}; {hint}"


def _field_names(cls: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    for part in loc:
        field = cls.model_fields.get(str(part))
        for candidate in (field.annotation, *get_args(field.annotation)) if field is not None else ():
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                cls = candidate
    return sorted(cls.model_fields)


def _apply_override(data: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"override {override!r} is not of the form key=value, e.g. train.learning_rate=1e-5")
    *sections, last = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise UserError(f"override {override!r}: {section} is a value, not a section")
    try:
        data[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"override {override!r}: the value is not valid YAML") from None
