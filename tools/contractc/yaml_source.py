"""Reads YAML with the line of every key, under the YAML 1.2 core rules.

YAML 1.1 would turn `on`, `no`, `1:30` and dates into something else; an API description wants the words as written.
"""
import re
from pathlib import Path

import yaml

_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class Problems:
    """Collects what is wrong, so that one run names all of it."""

    def __init__(self):
        self.items = []

    def add(self, where, message):
        self.items.append(f"{where}: {message}")


class Map(dict):
    """A mapping that knows where it and each of its keys stand."""

    def __init__(self, where):
        super().__init__()
        self.where = where
        self.places = {}

    def at(self, key):
        return self.places.get(key, self.where)


class Seq(list):
    """A list that knows where it stands."""

    def __init__(self, where):
        super().__init__()
        self.where = where


def load(path: Path, shown: str, problems: Problems):
    """The document of `path` as Map, Seq and scalars; None (and a problem) when it cannot be read."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problems.add(f"{shown}:{line}", f"not YAML: {getattr(error, 'problem', error)}")
        return None
    return None if root is None else _convert(root, shown, problems)


def _convert(node, shown, problems):
    where = f"{shown}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        result = Map(where)
        for key_node, value_node in node.value:
            key = _convert(key_node, shown, problems)
            place = f"{shown}:{key_node.start_mark.line + 1}"
            if not isinstance(key, (str, int, float, bool, type(None))):
                problems.add(place, "a key must be a word")
                continue
            if key in result:
                problems.add(place, f"'{key}' is written twice")
            result[key] = _convert(value_node, shown, problems)
            result.places[key] = place
        return result
    if isinstance(node, yaml.SequenceNode):
        result = Seq(where)
        result.extend(_convert(item, shown, problems) for item in node.value)
        return result
    return _scalar(node)


def _scalar(node):
    text = node.value
    if node.style:  # quoted or block
        return text
    if text.lower() in _WORDS and text in (text.lower(), text.capitalize()):
        return _WORDS[text.lower()]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text
