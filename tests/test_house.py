"""The house rules that a program can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sim

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "sim").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
HEAVY = {"numpy", "scipy", "pydantic", "ruamel", "matplotlib", "networkx"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_has_sixty_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno + 1 < 60, f"{path.name}:{node.lineno} {node.name}"


def test_the_public_api_is_what_it_says() -> None:
    assert sim.__doc__ is not None
    assert sorted(sim.__all__) == list(sim.__all__)
    for name in sim.__all__:
        assert f"`{name}`" in sim.__doc__, name
        assert getattr(sim, name).__doc__, name
    assert set(dir(sim)) == {*sim.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute"):
        _ = sim.nothing_of_that_name


def test_help_and_import_load_nothing_heavy() -> None:
    code = "import sys, sim, sim.cli; sim.cli.execute(['--help']); print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())


def test_an_exact_answer_needs_no_scipy_stats_and_no_optimiser() -> None:
    code = "import sys, sim; sim.run(sim.load_scenario(sys.argv[1])); print(*sys.modules)"
    scenario = str(ROOT / "scenarios" / "ninety_nine_ninety_nine.yaml")
    done = subprocess.run([sys.executable, "-c", code, scenario], capture_output=True, text=True, check=True)
    assert not {"scipy.stats", "scipy.optimize", "matplotlib"} & set(done.stdout.split())


def test_nothing_depends_on_what_lies_outside_the_project() -> None:
    for path in [*(ROOT / "sim").rglob("*.py"), *(ROOT / "scenarios").rglob("*.yaml"), ROOT / "README.md"]:
        assert not re.search(r"\.\./|/work/|/tmp/|/root/", path.read_text()), path
