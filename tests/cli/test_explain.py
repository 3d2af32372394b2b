"""`sim explain` forgets nothing: every field of a scenario, every column, title and cause that commands print."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from sim import Scenario
from sim.analysis.explorer import invariants, sometimes
from sim.base.model import FrozenModel
from sim.cli import execute, over_time, render, timing
from sim.cli.vocabulary import Entry, _shown, described, matching, scenario_fields, vocabulary
from sim.cli.words import SECTIONS
from sim.engines.result import Result
from sim.scenario.grid import Axis

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))


@pytest.fixture(scope="module")
def known() -> list[Entry]:
    return vocabulary()


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that an annotation mentions, walking types and not the JSON Schema."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_of(part)


def built_in() -> set[type[BaseModel]]:
    """Every model that a scenario can hold, of registries too: all frozen models of the floors below the scenario."""
    waiting: list[type[BaseModel]] = [FrozenModel]
    found: set[type[BaseModel]] = set()
    for model in waiting:
        waiting += model.__subclasses__()
        if re.match(r"sim\.(base|inference|consensus|network|scenario|statistics)\.", model.__module__):
            found.add(model)
    return found


def test_every_field_of_every_model_is_explained(known: list[Entry]) -> None:
    Scenario.model_json_schema()
    told = {entry.word.rpartition(".")[2] for entry in known if entry.where == "scenario"}
    fields = {name for model in built_in() for name in model.model_fields}
    assert len(fields) > 90
    assert fields <= told
    for model in (Scenario, Axis):
        for name, info in model.model_fields.items():
            entries = matching(known, name if model is Scenario else f"sweep.*.{name}")
            assert entries, name
            below = [one for one in models_of(info.annotation) if one.__doc__]
            assert info.description or below, name


def test_every_entry_says_something(known: list[Entry]) -> None:
    for entry in known:
        assert re.search(r"\w{2}", entry.text), entry
        assert entry.text[-1] in ".:)!" or entry.values, entry
        assert "\n" not in entry.text


def shipped_paths(tree: Any, path: str = "") -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from shipped_paths(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, (list, tuple)) and tree and all(isinstance(item, dict) for item in tree):
        for place, item in enumerate(tree):
            yield from shipped_paths(item, f"{path}.{place}")
    else:
        yield path


NOT_FIELDS = re.compile(r"faults\.byzantine\.|\.(?:between|apart|nodes)\.|^sweep\.(?:zip|list)\.")
"""Where what stands below a field are names of groups, regions and axes."""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_path_in_a_shipped_scenario_is_explained(path: Path, known: list[Entry]) -> None:
    from sim.base.document import read_document

    written = list(shipped_paths(read_document(path).tree))
    assert len(written) > 2
    assert not [one for one in written if not NOT_FIELDS.search(one) and not matching(known, one)]


def titles_of(function: Callable[..., Any]) -> set[str]:
    """The titles that a function yields, as written in it."""
    tree = ast.parse(inspect.getsource(function))
    yielded = [node.value for node in ast.walk(tree) if isinstance(node, ast.Yield)]
    first = [value.elts[0] for value in yielded if isinstance(value, ast.Tuple)]
    return {str(title.value) for title in first if isinstance(title, ast.Constant)}


@pytest.mark.parametrize(
    ("function", "least"),
    [(timing.timing_lines, 7), (over_time.over_time_lines, 8), (render.measures, 2), (render.means, 3)],
)
def test_every_title_of_a_run_is_explained(function: Callable[..., Any], least: int) -> None:
    titles = titles_of(function) - {""}
    assert len(titles) >= least
    assert titles <= SECTIONS["sim run"].keys()


def columns(line: str) -> list[str]:
    return [column for column in re.split(r" {2,}", line.strip()) if column]


@pytest.mark.parametrize(
    "file", ["ninety_nine_ninety_nine", "healed_partition", "over_time/state_sync_storm", "ways_out/optimistic"]
)
def test_what_a_run_prints_at_the_left_is_explained(
    file: str, known: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["run", str(ROOT / "scenarios" / f"{file}.yaml"), "--blocks", "40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(matching(known, column) for column in columns(lines[1]))
    titles = [columns(line)[0] for line in lines[2:] if re.match(r"\S[\w ]{1,13}  ", line)]
    assert len(titles) >= 5
    assert not [title for title in titles if not matching(known, title)]


def test_every_column_of_results_is_explained(
    known: list[Entry], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "x.db")
    assert execute(["sweep", str(ROOT / "scenarios" / "hardware_mix.yaml"), "--store", store]) == 0
    capsys.readouterr()
    assert execute(["results", store, "--timings"]) == 0
    header = columns(capsys.readouterr().out.splitlines()[0])
    assert header[:3] == ["first", "second", "block failure"]
    assert header[-1] == "seconds"
    assert not [column for column in header[2:] if not matching(known, column)]


def test_causes_invariants_and_events_are_explained(known: list[Entry]) -> None:
    for meanings in (timing.MEANING, over_time.MEANING, invariants.MEANING, sometimes.MEANING):
        for word in meanings:
            assert matching(known, word), word


def test_docstrings_tell_every_field_of_a_result() -> None:
    summary = "How blocks of a scenario end."
    told = described(Result)
    assert set(told) == set(Result.__dataclass_fields__)
    assert [name for name, text in told.items() if text == summary] == []
    assert (
        told["faults_tolerated"]
        == told["quorum"]
        == "Faults f that are tolerated, and quorum q: votes that certify a result; both in voting power."
    )


def test_no_field_is_told_by_what_its_class_is() -> None:
    for _, shown in _shown():
        summary = (shown.__doc__ or "").partition("\n\n")[0]
        told = described(shown)
        assert told
        assert not [name for name, text in told.items() if text == summary], shown


def test_fields_come_once_with_their_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["explain", "nodes.gpu.executor.nondeterminism.rate"]) == 0
    out = capsys.readouterr().out
    assert out.count("nodes.*.executor.nondeterminism.rate\n") == 2
    assert "a number, at least 0, less than 0.5; required" in out
    assert re.search(r"Of independent, beta(, \w+)*: ", out)
    assert execute(["explain", "near_tie", "--format", "json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["word"] == "nodes.*.executor.nondeterminism.difficulty"
    assert execute(["explain", "DIVERGED", "nodes"]) == 0
    assert "Honest nodes a block" in capsys.readouterr().out
    assert execute(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 700


def test_a_word_is_shown_as_it_was_written_and_no_further(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["explain", "x\x1b[2J" + "y" * 500]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert len(line) < 300
    for word in ("", ".", "*", "..", "nodes.*", " "):
        assert execute(["explain", word]) in {0, 2}


def test_no_path_is_told_twice_in_the_same_words() -> None:
    entries = list(scenario_fields())
    assert len(entries) == len(set(entries))


def test_sections_are_of_commands_that_exist() -> None:
    from sim.cli.main import app

    assert {name.removeprefix("sim").strip() for name in SECTIONS} - {""} <= set(app)
