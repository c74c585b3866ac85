"""YAML as people mean it: `1e-4` is a number, `no` and `on` are words, and no file can harm its reader."""

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

from translate.errors import ConfigurationError

MAX_BYTES = 32_768
"""Ten times the longest recipe; YAML this long takes half a second to read."""
MAX_DEPTH = 50
MAX_DIGITS = 300
KeyPath = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML with the scalars of JSON, plus True and False as Python and its sweep tools write them: no
    yes/no/on/off, octal, sexagesimal or date surprises."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"~|null|", ["~", "n", ""]),
    ("tag:yaml.org,2002:bool", r"[tT]rue|[fF]alse", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?(0|[1-9][0-9_]*)", list("-+0123456789")),
    ("tag:yaml.org,2002:float", r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", list("-+0123456789.")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


def read_yaml(text: str, source: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """Reads a YAML mapping; returns it with the line of each key. `source` names the file in messages.

    Raises ConfigurationError, with the line, for anything but a plain YAML mapping: bad syntax, duplicate keys,
    anchors, tags, or too deep or too large.
    """
    if len(text.encode()) > MAX_BYTES:
        raise ConfigurationError(f"{source}: larger than {MAX_BYTES} bytes, the most that is read of such a file")
    _refuse_traps(text, source)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        _walk(node, (), lines, source)
        value = loader.construct_document(node) if node else {}
    except yaml.YAMLError as error:
        raise _syntax_error(error, text, source) from error
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise ConfigurationError(f"{source}: expected `key: value` lines, got {type(value).__name__}")
    return value, lines


def read_yaml_value(text: str) -> Any:
    """Reads one value as written in a file: `1e-4`, `true`, `[1, 2]`, `{kind: unet}` or plain text.

    `None` alone is null, as Python's sweeps write it; inside a list it stays a word, for classes with that name.
    """
    return None if text.strip() == "None" else read_yaml(f"value: {text}", f"'{text}'")[0]["value"]


def _refuse_traps(text: str, source: str) -> None:
    """Refuses excessive depth, anchors, aliases and tags before anything is built or recursed into."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            line = event.start_mark.line + 1 if event.start_mark else 0
            if depth > MAX_DEPTH:
                raise ConfigurationError(f"{source}, line {line}: nested more than {MAX_DEPTH} deep")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ConfigurationError(f"{source}, line {line}: anchors and aliases are not allowed; write it out")
            if tag := getattr(event, "tag", None):
                raise ConfigurationError(f"{source}, line {line}: tag '{tag}' is not allowed; use plain values")
    except yaml.YAMLError as error:
        raise _syntax_error(error, text, source) from error


def _syntax_error(error: yaml.YAMLError, text: str, source: str) -> ConfigurationError:
    if isinstance(error, ReaderError):
        number = text.count("\n", 0, error.position) + 1
        return ConfigurationError(f"{source}, line {number}: unexpected character {chr(error.character)!r}")
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark else ""
    return ConfigurationError(f"{source}{line}: {getattr(error, 'problem', None) or error}")


def _walk(node: yaml.Node | None, path: KeyPath, lines: dict[KeyPath, int], source: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise ConfigurationError(
                    f"{source}, line {line}: the key '{key.value}' is not a word; put it in quotes"
                )
            here = (*path, key.value)
            if here in lines:
                raise ConfigurationError(
                    f"{source}, line {line}: the key '{key.value}' is given twice (first in line {lines[here]})"
                )
            lines[here] = line
            _walk(value, here, lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _walk(value, (*path, index), lines, source)
    elif isinstance(node, yaml.ScalarNode):
        _refuse_unreadable(node, source)


def _refuse_unreadable(node: yaml.ScalarNode, source: str) -> None:
    line = node.start_mark.line + 1
    if any("\ud800" <= letter <= "\udfff" for letter in node.value):
        raise ConfigurationError(f"{source}, line {line}: unexpected half of a character (a lone surrogate)")
    if node.tag == "tag:yaml.org,2002:int" and len(node.value) > MAX_DIGITS:
        raise ConfigurationError(f"{source}, line {line}: a whole number of {len(node.value)} digits is too long")
