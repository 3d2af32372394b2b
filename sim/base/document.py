"""A scenario file as a tree of plain values that remembers where each was written.

Files are untrusted: nothing in them is evaluated, and size, nesting and the expansion of aliases are bounded before
anything is built. The depth is checked on the raw token stream, since the parser itself would take seconds on
20,000 brackets.
"""

from __future__ import annotations

import io
import stat
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.base.errors import Problem, ScenarioError
from sim.base.fractions import WrittenFloat
from sim.base.text import printable

if TYPE_CHECKING:
    from ruamel.yaml import YAML, Node

FILE_BYTES_MAX = 256 * 1024
DEPTH_MAX = 32
VALUES_MAX = 100_000
KEY_CHARACTERS_MAX = 200
PATHS_CHARACTERS_MAX = 10_000_000  # of all values together
_DIGITS_MAX = 400
_TAG = "tag:yaml.org,2002:"
_OPENING = {
    "FlowSequenceStartToken",
    "FlowMappingStartToken",
    "BlockSequenceStartToken",
    "BlockMappingStartToken",
}
_CLOSING = {"FlowSequenceEndToken", "FlowMappingEndToken", "BlockEndToken"}


class Home(NamedTuple):
    """Where what a scenario names is found.

    Parameters
    ----------
    folder
        The folder of the scenario file.
    anywhere
        Whether files that it names may lie elsewhere.
    catalog
        Catalog of the names that it uses; None: what is shipped.
    """

    folder: Path
    anywhere: bool = False
    catalog: Any = None


@dataclass
class Document:
    """A tree of plain values (mappings, lists, texts, numbers), with the place of each.

    Parameters
    ----------
    tree
        The root mapping.
    places
        Dotted path to `FILE:LINE:COLUMN`, or to the flag that set the value.
    keys
        The same for the key under which the value stands.
    home
        Where the scenario lies; None for one that came from no file.
    filled
        Path to what an entry of the catalog filled in, and the entry.
    """

    tree: dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    home: Home | None = None
    filled: dict[str, tuple[Any, str]] = field(default_factory=dict)

    def locate(self, problem: Problem) -> Problem:
        """Return the problem with the place of its path, or of the nearest value above it."""
        path = problem.path
        if problem.where:
            return problem
        if problem.message.startswith("unknown key") and path in self.keys:
            return Problem(path, problem.message, problem.value, self.keys[path])
        while path and path not in self.places:
            path = path.rpartition(".")[0]
        return Problem(problem.path, problem.message, problem.value, self.places.get(path, ""))

    def set(self, path: str, value: Any, flag: str) -> None:
        """Override the value at a dotted path; mappings on the way are made.

        Raises
        ------
        ScenarioError
            A value on the way is not a mapping or a list with that index.
        """
        *way, last = path.split(".")
        here: Any = self.tree
        for depth, step in enumerate(way):
            place = ".".join(way[: depth + 1])
            if isinstance(here, dict):
                if step not in here:
                    here[step] = {}
                    self.places[place] = self.keys[place] = flag
                here = here[step]
            else:
                here = self._entry(here, step, place, flag)
        if isinstance(here, dict):
            here[last] = value
        else:
            self._entry(here, last, path, flag)
            here[int(last)] = value
        for place in [p for p in self.places if p == path or p.startswith(f"{path}.")]:
            del self.places[place]
        self.places[path] = self.keys[path] = flag

    @staticmethod
    def _entry(here: Any, step: str, path: str, flag: str) -> Any:
        if isinstance(here, list) and step.isdecimal() and len(step) < 10 and int(step) < len(here):
            return here[int(step)]
        where = path.rpartition(".")[0]
        kind = f"a list of {len(here)}" if isinstance(here, list) else "not a mapping"
        raise ScenarioError([Problem(path, f"cannot be set: {where} is {kind}", where=flag)])


def read_document(path: Path, maker: str = "") -> Document:
    """Read a scenario file.

    Parameters
    ----------
    path
        A regular file of at most 256 KiB, YAML 1.2 in UTF-8, one document.
    maker
        What makes such a file, for the message where there is none.

    Returns
    -------
    Document
        The tree, with repeated keys and other mistakes listed in `problems`.

    Raises
    ------
    ScenarioError
        The file cannot be read, is too large or too deep, or is not YAML.
    """
    name = printable(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ScenarioError([Problem("", "is not a regular file", where=name)])
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = f"; {maker}" if maker and isinstance(error, FileNotFoundError) else ""
        raise ScenarioError([Problem("", f"cannot be read: {reason}{hint}", where=name)]) from None
    except ValueError:
        raise ScenarioError([Problem("", "cannot be read: a null character in its name", where=name)]) from None
    if len(raw) > FILE_BYTES_MAX:
        raise ScenarioError([Problem("", f"is larger than {FILE_BYTES_MAX // 1024} KiB", where=name)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ScenarioError([Problem("", "is not UTF-8 text", where=f"{name}:{line}:1")]) from None
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """Parse a scenario from text; `name` stands for the file in messages (see `read_document`)."""
    root = compose(text, name)
    if root is None:
        raise ScenarioError([Problem("", "is empty", where=name)])
    reader = _Reader(name)
    tree = reader.value(root, "", 0)
    if not isinstance(tree, dict):
        raise ScenarioError([Problem("", "must be a mapping of keys such as nodes and consensus", where=f"{name}:1:1")])
    return Document(tree, reader.places, reader.keys, reader.problems, reader.unreadable)


def parse_value(text: str, flag: str) -> Any:
    """Parse the value of an override such as `--set PATH=VALUE` as YAML; `flag` stands for the file in messages."""
    root = compose(text, flag, positions=False)
    if root is None:
        return None
    reader = _Reader(flag, positions=False)
    value = reader.value(root, "", 0)
    if reader.problems:
        raise ScenarioError(reader.problems)
    return value


def compose(text: str, name: str, *, positions: bool = True) -> Node | None:
    """Compose the node graph of one YAML document, within bounds.

    Raises
    ------
    ScenarioError
        The text is not YAML, or nested more than 32 deep.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a reused anchor is no news to the user
            _check_depth(YAML(typ="safe", pure=True), text, name)
            node: Node | None = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark and positions else name
        what = printable(" ".join(part for part in (error.context, error.problem) if part))
        raise ScenarioError([Problem("", f"is not valid YAML: {what}", where=where)]) from None
    except YAMLError as error:
        where = f"{name}:{_line_of(text, getattr(error, 'position', 0))}:1" if positions else name
        raise ScenarioError([Problem("", "is not valid YAML: a character that is not allowed", where=where)]) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise ScenarioError([Problem("", f"is not valid YAML: {printable(str(error))}", where=name)]) from None
    return node


def _line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _check_depth(yaml: YAML, text: str, name: str) -> None:
    depth = 0
    for token in yaml.scan(io.StringIO(text)):
        kind = type(token).__name__
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if depth > DEPTH_MAX:
            mark = token.start_mark
            where = f"{name}:{mark.line + 1}:{mark.column + 1}"
            raise ScenarioError([Problem("", f"is nested more than {DEPTH_MAX} deep", where=where)])


class _Reader:
    """Walks a node graph, expanding aliases within bounds, and notes where everything stands."""

    def __init__(self, name: str, *, positions: bool = True) -> None:
        self.name, self.positions = name, positions
        self.places: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.unreadable: set[str] = set()
        self.values = self.characters = 0

    def value(self, node: Node, path: str, depth: int) -> Any:
        """Turn a node into plain values."""
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        self.values += 1
        self.characters += len(path)
        large = self.values > VALUES_MAX or self.characters > PATHS_CHARACTERS_MAX
        if large or depth > DEPTH_MAX:
            limit = f"more than {VALUES_MAX} values" if large else f"more than {DEPTH_MAX} levels"
            message = f"has {limit}, aliases expanded"
            raise ScenarioError([*self.problems, Problem(path, message, where=self.where(node))])
        self.places[path] = self.where(node)
        if isinstance(node, MappingNode):
            self._refuse_tag(node, "map", path)
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            self._refuse_tag(node, "seq", path)
            return [self.value(item, _join(path, str(i)), depth + 1) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def where(self, node: Node) -> str:
        """FILE:LINE:COLUMN of a node."""
        if not self.positions:
            return self.name
        return f"{self.name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def _refuse_tag(self, node: Node, expected: str, path: str) -> None:
        if str(node.tag) != _TAG + expected:
            self.unreadable.add(path)
            self.problems.append(Problem(path, "has a tag, which is not allowed", str(node.tag), self.where(node)))

    def _mapping(self, node: Node, path: str, depth: int) -> dict[str, Any]:
        from ruamel.yaml.nodes import ScalarNode

        mapping: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                self.problems.append(Problem(path, "has a key that is not a text", where=self.where(key)))
                continue
            name = str(key.value)
            if len(name) > KEY_CHARACTERS_MAX:
                self.problems.append(
                    Problem(path, f"has a key of more than {KEY_CHARACTERS_MAX} characters", name, self.where(key))
                )
                continue
            below = _join(path, name)
            if name in mapping:
                self.problems.append(Problem(below, "is given twice", where=self.where(key)))
                continue
            mapping[name] = self.value(item, below, depth + 1)
            self.keys[below] = self.where(key)
            if isinstance(mapping[name], (dict, list)):
                self.places[below] = self.where(key)
        return mapping

    def _scalar(self, node: Node, path: str) -> Any:
        tag, text = str(node.tag).removeprefix(_TAG), str(node.value)
        try:
            if tag == "null":
                return None
            if tag == "bool":
                return text.lower() == "true"
            if tag == "int":
                return _integer(text.replace("_", ""))
            if tag == "float":
                return _float(text.replace("_", ""))
        except ValueError:
            self.unreadable.add(path)
            self.problems.append(Problem(path, "is not a number that can be read", text, self.where(node)))
            return None
        if tag not in {"str", "timestamp", "merge", "value"}:
            self._refuse_tag(node, "str", path)
        return text


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _integer(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        raise ValueError(text)
    prefix = text.lstrip("+-")[:2].lower()
    return int(text, {"0x": 16, "0o": 8, "0b": 2}.get(prefix, 10))


def _float(text: str) -> float:
    word = text.lower().lstrip("+")
    special = {".inf": "inf", "-.inf": "-inf", ".nan": "nan"}.get(word)
    return float(special) if special else WrittenFloat(text)
