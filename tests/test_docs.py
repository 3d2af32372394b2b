"""The documentation: its examples run, its formulas give the numbers shown, and its generated pages tell everything."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from packages import EXAMPLES, REGISTRIES, installed, unpacked
from protocol_pages import protocol_page
from scenario_reference import scenario_reference
from shown import blocks, check_console

from sim import Scenario, load_scenario, run
from sim.base.document import parse_value
from sim.base.model import FrozenModel
from sim.consensus.protocols import PROTOCOLS
from sim.consensus.verification import VERIFICATIONS
from sim.inference.executors import EXECUTORS
from sim.network.topology import TOPOLOGIES

ROOT = Path(__file__).parents[1]
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "generated" not in path.parts]
names = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT / "docs")))
REFERENCE = scenario_reference()


def below(model: type[FrozenModel]) -> Iterator[type[FrozenModel]]:
    """All models that derive from one."""
    for one in model.__subclasses__():
        yield one
        yield from below(one)


WRITTEN = {"Scenario", *Scenario.model_json_schema()["$defs"]}
MODELS = sorted({one for one in below(FrozenModel) if one.__name__ in WRITTEN}, key=lambda one: one.__name__)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All examples that pages tell of."""
    with installed(*(unpacked(place.name, tmp_path_factory.mktemp(place.name)) for place in EXAMPLES.iterdir())):
        yield


@names
def test_examples_give_what_a_page_shows(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    whole = "\n".join(blocks(page.read_text(), "pycon"))
    examples = doctest.DocTestParser().get_doctest(whole, {}, page.name, str(page), 0)
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(examples, out=told.append)
    assert not told, "".join(told)


@names
@pytest.mark.usefixtures("packages")
def test_commands_print_what_a_page_shows(
    page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for block in blocks(page.read_text(), "console"):
        check_console(block, lambda: capsys.readouterr().out)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: path.parent.name)
def test_scenarios_of_examples_give_what_their_comments_expect(path: Path) -> None:
    failure = run(load_scenario(path)).block_failure.probability
    expected = {"logistic_tie": 9.15e-5, "word_overlap": 1.0, "queueing": 0.0}[path.parent.name]
    assert failure == pytest.approx(expected, rel=1e-3)


def told_of(model: type[FrozenModel]) -> str:
    """The part of the reference that tells of a model."""
    if model is Scenario:
        return REFERENCE[: REFERENCE.index("(scenario-")]
    _, _, rest = REFERENCE.partition(f"\n(scenario-{model.__name__.lower()})=\n")
    return str(re.split(r"^\(scenario-|^## ", rest, maxsplit=1, flags=re.MULTILINE)[0])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_reference_tells_every_key_of_a_model(model: type[FrozenModel]) -> None:
    entries = re.findall(r"^`(?:.*\.)?([a-z_]+)`\n: \*(.*); (.*)\.\*\n  (.+)$", told_of(model), re.MULTILINE)
    assert [key for key, *_ in entries] == [key for key in model.model_fields if key not in {"kind", "difficulty"}]
    for key, values, default, meaning in entries:
        field = model.model_fields[key]
        assert meaning == " ".join((field.description or field.annotation.__doc__ or "").split())
        assert (default == "required") == field.is_required()
        if isinstance(field.default, int | float | str) and field.default != "" and key != "alternatives":
            written = re.fullmatch(r"default `(.*)`", default)
            assert written is not None
            assert parse_value(written[1].replace(",", ""), "page") == field.default
        said = numbers(values)
        for limit in limits([*field.metadata, field.annotation]):
            assert limit in said, key


def limits(parts: Iterable[Any]) -> Iterator[float]:
    """Bounds of a field, wherever they stand in its type."""
    for part in parts:
        yield from (value for word in ("ge", "gt", "le", "lt") if (value := getattr(part, word, None)) is not None)
        yield from limits([*getattr(part, "metadata", ()), *get_args(part)])


def numbers(words: str) -> list[float]:
    found = re.findall(r"-?\d[\d,.]*(?:e-?\d+)?", words.replace("2^63", str(2**63)))
    return [float(number.strip(",.").replace(",", "")) for number in found]


def test_the_reference_knows_every_class_that_is_built_in() -> None:
    known = set(Scenario.model_json_schema()["$defs"])
    for registry in (*REGISTRIES, VERIFICATIONS, EXECUTORS, TOPOLOGIES):
        if registry is not PROTOCOLS:
            assert {registry.load(name).__name__ for name in registry.builtin} <= known


@pytest.mark.parametrize("name", PROTOCOLS.builtin)
def test_a_protocol_page_tells_its_story_phases_messages_and_timeouts(name: str) -> None:
    machine = PROTOCOLS.load(name)
    page = protocol_page(name, machine)
    assert inspect.cleandoc(sys.modules[machine.__module__].__doc__ or "") in page
    for source, event, target in machine.transitions:
        assert f"| {source} | {event} | {target} |" in page
    for message in (*machine.proposals, *machine.ballots):
        said = " ".join((inspect.getdoc(message) or "").split("\n\n")[0].split())
        assert page.count(f"\n| {message.name} | {said} |") == 1
    for timeout in machine.timeouts:
        assert f"| `{timeout}` |" in page
    assert f"]({name}.svg)" in page
    assert f"]({name}.md)" in (ROOT / "docs" / "protocols.md").read_text().replace("generated/", "")
