"""The catalog: every figure has a source, and a user's own file adds to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sim.catalog
from sim.base.document import read_document
from sim.base.errors import ScenarioError
from sim.catalog.catalog import KINDS, builtin, catalog_with
from sim.catalog.speed import speed_on
from sim.cli import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted((Path(sim.catalog.__file__).parent / "data").glob("*.yaml"))
KNOWN = {"article", "read", "abstract", "vendor", "memory", "fitted"}
TITLE = "title: mine, kind: gpu, operations_per_s: {value: 1e12, source: a test, known: read}"


def _numbers(tree: Any, path: str = "", within: Any = None) -> Iterator[tuple[str, Any]]:
    """Every number of a file, with the mapping in which it stands."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _numbers(value, f"{path}.{key}", tree)
    elif isinstance(tree, (int, float)):
        yield path, within


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_number_that_is_shipped_stands_beside_its_source(file: Path) -> None:
    document = read_document(file)
    assert not document.problems
    numbers = list(_numbers(document.tree))
    assert len(numbers) > (3 if file.stem == "presets" else 20)
    for path, within in numbers:
        assert len(within.get("source", "").strip()) > 3, path
        assert within.get("known") in KNOWN, path


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_says_something(kind: str) -> None:
    entries = builtin().entries(kind)  # type: ignore[arg-type]
    assert len(entries) >= (2 if kind == "presets" else 6)
    names = [name for key, entry in entries.items() for name in (key, *entry.aliases)]
    assert len(names) == len(set(names))
    for name, entry in entries.items():
        assert list(entry.figures()), name


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        ("{value: 1, known: read}", ": hardware.mine.price_per_hour.source: is required"),
        ("{value: 1, source: '', known: read}", ": hardware.mine.price_per_hour.source: must have at least"),
        ("{value: 1, source: ' ', known: read}", "hardware.mine.price_per_hour.source: must say where the value is"),
        ("{value: 1, source: x, known: guess}", "hardware.mine.price_per_hour.known: must be one of article, read"),
        ("{value: 1, source: x}", "hardware.mine.price_per_hour.known: is required"),
        ("1", ": hardware.mine.price_per_hour: must be a mapping (got 1)"),
        ("{value: -1, source: x, known: read}", "hardware.mine.price_per_hour.value: must be at least 0 (got -1)"),
        ("{value: 2, low: 3, source: x, known: read}", "low: must be at most the value (2) (got 3"),
        ("{value: 2, high: 1, source: x, known: read}", "high: must be at least the value (2) (got 1"),
    ],
)
def test_a_figure_without_a_source_or_out_of_range_is_refused_with_its_place(
    figure: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.yaml").write_text(f"hardware:\n  mine: {{title: m, kind: gpu, price_per_hour: {figure}}}\n")
    with pytest.raises(ScenarioError) as caught:
        catalog_with("f.yaml")
    line = next(line for line in str(caught.value).splitlines() if told in line)
    assert line.startswith("f.yaml:2:")


def test_an_own_file_adds_entries_and_replaces_figures(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        f"hardware:\n  mine: {{{TITLE}}}\n"
        "  h100:\n    price_per_hour: {value: 2, source: my contract, known: read}\n"
        "    tokens_per_s: {gpt2_124m: {value: 900, source: my bench, known: read}}\n"
    )
    mine, shipped = catalog_with(own), builtin()
    assert mine.hardware["mine"].operations_per_s.value == 1e12
    h100 = mine.hardware["h100"]
    assert h100.price_per_hour is not None
    assert h100.price_per_hour.source == "my contract"
    assert h100.tokens_per_s["gpt2_124m"].value == 900
    assert h100.tokens_per_s["llama3_8b_q4"] == shipped.hardware["h100"].tokens_per_s["llama3_8b_q4"]
    assert h100.memory_bytes == shipped.hardware["h100"].memory_bytes
    assert mine.platforms == shipped.platforms
    assert "mine" not in shipped.hardware


def test_names_of_an_own_file_can_be_named(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f'hardware:\n  a.b: {{{TITLE}}}\n  "{"x" * 101}": {{{TITLE}}}\nplatform: {{}}\n')
    with pytest.raises(ScenarioError) as caught:
        catalog_with(own)
    assert str(caught.value).count("a name must have 1 to 100 characters") == 2
    assert "platform: unknown key, did you mean platforms?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "mitigations: {class_exact: {kind: tee}}",
            "class_exact.kind: must stay arithmetic, as class_exact is",
        ),
        ("hardware: {h100: {kind: cpu}}", "hardware.h100.kind: must stay gpu, as h100 is shipped (got 'cpu')"),
        ("models: {gpt2_124m: {aliases: [llama3_8b]}}", "aliases.0: means gpt2_124m already (got 'llama3_8b')"),
        ("models: {gpt2_124m: {aliases: [all_minilm]}}", "aliases.0: means all_minilm already (got 'all_minilm')"),
        ("models: {gpt2_124m: {aliases: [g, g]}}", "aliases.1: means gpt2_124m already (got 'g')"),
        ('models: {gpt2_124m: {aliases: ["\\e"]}}', "aliases.0: must not hold control characters"),
        ("models: {gpt2_124m: {aliases: ['']}}", "aliases.0: must have at least 1 characters"),
        (
            "platforms: {icp_app: {fault_threshold: {value: 1/2, source: me, known: read}}}",
            "fault_threshold.value: must be greater than 0 and less than 1/2 (got '1/2')",
        ),
        ("mitigations: {fp32: {slowdown: {value: 0.5, source: me, known: read}}}", "must be at least 1 (got 0.5)"),
        ("mitigations: {fp32: {residual: {value: 2, source: me, known: read}}}", "must be at most 1 (got 2)"),
        ("mitigations: {zk: {prover_ratio: {value: 0, source: me, known: read}}}", "must be at least 1 (got 0)"),
        ("hardware: {h100: {operations_per_s: {value: 0, source: me, known: read}}}", "must be at least 1e-12 (got 0)"),
    ],
)
def test_entries_that_scenarios_could_not_use_are_refused(text: str, told: str, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text + "\n")
    with pytest.raises(ScenarioError) as caught:
        catalog_with(own)
    assert told in str(caught.value)
    assert str(caught.value).startswith(str(own))


def test_a_measured_speed_beats_the_roofline_and_the_roofline_takes_the_slower_side() -> None:
    shipped = builtin()
    h100, q4, f16 = shipped.hardware["h100"], shipped.models["llama3_8b_q4"], shipped.models["llama3_8b_f16"]
    assert speed_on(h100, "llama3_8b_q4", q4).seconds_per_token == pytest.approx(1 / 144.5)
    bound = speed_on(h100, "not measured", f16)
    assert bound.seconds_per_token == pytest.approx(16.06e9 / 2.0e12)  # one reading of the weights
    assert bound.seconds_per_token < speed_on(h100, "llama3_8b_f16", f16).seconds_per_token
    thread = speed_on(shipped.hardware["cpu"], "llama_7b_q4", shipped.models["llama_7b_q4"])
    assert thread.seconds_per_token == pytest.approx(13.48e9 / 2e9)
    assert "operations" in thread.how


@pytest.mark.parametrize("hardware", ["rtx4090", "a100", "h100"])
def test_no_measurement_is_faster_than_physics(hardware: str) -> None:
    entry = builtin().hardware[hardware]
    for name, measured in entry.tokens_per_s.items():
        assert speed_on(entry, "not measured", builtin().models[name]).seconds_per_token < 1 / measured.value


def test_the_article_s_gpu_is_a_thousand_times_its_cpu() -> None:
    hardware = builtin().hardware
    assert hardware["gpu_1000x"].operations_per_s.value == 1_000 * hardware["cpu"].operations_per_s.value


def test_the_command_lists_as_table_and_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert execute(["catalog", "--format", "json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert {entry["kind"] for entry in entries} == set(KINDS)
    assert all(figure["source"] and figure["known"] for entry in entries for figure in entry["figures"].values())
    assert execute(["catalog", "platform"]) == 0
    shown = capsys.readouterr().out
    assert "icp_app: ICP application subnet" in shown
    assert "h100" not in shown
    own = tmp_path / "own.yaml"
    own.write_text(f"hardware:\n  mine: {{{TITLE}}}\n")
    assert execute(["catalog", "hardware", "--catalog", str(own)]) == 0
    assert "mine: mine" in capsys.readouterr().out


def test_a_wrong_kind_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["catalog", "hardwre"]) == 2
    assert capsys.readouterr().err == "sim catalog: is no kind of entry; did you mean hardware? (got 'hardwre')\n"
