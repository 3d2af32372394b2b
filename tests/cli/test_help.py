"""Help teaches: `sim` alone, an example of every command that runs, and completion in bash."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.cli import execute
from sim.cli.main import FIRST_STEPS, app
from sim.cli.vocabulary import matching, vocabulary
from sim.cli.words import SECTIONS

ROOT = Path(__file__).parents[2]
COMMANDS = [name for name in app if not name.startswith("-")]
MADE_BEFORE = [
    "sim sweep scenarios/hardware_mix.yaml --store hardware_mix.db",
    "sim sweep scenarios/hardware_mix.yaml --store a.db",
    "sim sweep scenarios/hardware_mix.yaml --store b.db",
    "sim run scenarios/healed_partition.yaml --blocks 40 --trace trace.jsonl",
    "sim record --prompts prompts.txt -o runs.jsonl.gz",
]
"""What makes the files that examples read: add to it what the example of a new command reads."""
RUN_ELSEWHERE = {"bench": "tests/analysis/test_bench.py"}
"""Commands whose example needs more than that (a model, minutes), and the test file that runs it."""
NAMES_OF_USERS = {
    "point",
    "mix",
    "figures",
    "filled_in",
    "messages_by_type",
    "bytes_by_type",
    "latency_s",
    "executor",
    "predicted",
    "parameters",
    "invariants",
    "sometimes",
    "causes",
    "halts",
}
"""Keys of JSON output whose own keys are names: of axes, groups, figures, paths, types, causes."""


def example(command: str) -> str:
    """The example in the docstring of a command."""
    function = app[command].default_command
    found = re.findall(r"For example: (.*)", function.__doc__ or "")
    assert len(found) == 1, f"sim {command} --help has {len(found)} lines that begin with For example:"
    return str(found[0])


def arguments_of(line: str) -> list[str]:
    program, *arguments = shlex.split(line.partition(" > ")[0])
    assert program == "sim"
    return arguments


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped scenarios, and what examples read."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "scenarios").symlink_to(ROOT / "scenarios")
    (folder / "prompts.txt").write_text("One and one is\nThe capital of France is\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in MADE_BEFORE:
            assert execute(arguments_of(line)) == 0, line
    return folder


def test_sim_alone_shows_five_things_that_work_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute([]) == 0
    assert capsys.readouterr().out == FIRST_STEPS
    steps = re.findall(r"^  (sim .*?)  ", FIRST_STEPS, re.MULTILINE)
    assert len(steps) == 5
    for line in steps:
        assert execute(arguments_of(line)) == 0, line
        assert capsys.readouterr().out
    assert Path("curve.png").stat().st_size > 10_000


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_of_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = example(command)
    assert line.split()[:2] == ["sim", command]
    assert execute([command, "--help"]) == 0
    assert f"For example: {line}\n" in capsys.readouterr().out, "does not fit in a line"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_runs(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if command in RUN_ELSEWHERE:
        words = ", ".join(f'"{word}"' for word in arguments_of(example(command)))
        assert words in (ROOT / RUN_ELSEWHERE[command]).read_text(encoding="utf-8")
        return
    monkeypatch.chdir(place)
    code = execute(arguments_of(example(command)))
    told = capsys.readouterr()
    if code == 2 and "pip install" in told.err:
        pytest.skip(told.err)
    assert code == 0
    assert told.out


def with_json() -> list[str]:
    return [name for name in COMMANDS if "--format" in str(list(app[name].assemble_argument_collection()))]


MORE_JSON = [
    "sim run scenarios/healed_partition.yaml --blocks 40",
    "sim run scenarios/healed_partition.yaml --block 40",
    "sim run scenarios/over_time/icp_subnet.yaml",
    "sim run scenarios/tolerant/endorse_drops_requests.yaml",
    "sim run scenarios/ways_out/proof.yaml",
    "sim check scenarios/safety_check.yaml --set consensus.quorum=3 --set nodes.validator.count=5",
    "sim compare --price scenarios/tolerant/logit_margin.yaml --values 0,2",
    "sim feasibility --scenario scenarios/ways_out/proof.yaml",
]
"""Command lines besides the examples that print other keys."""


@pytest.mark.parametrize("line", MORE_JSON)
def test_keys_that_only_some_runs_print_are_explained(
    line: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert execute([*arguments_of(line), "--format", "json"]) in {0, 3}
    keys = set(keys_of(json.loads(capsys.readouterr().out)))
    known = vocabulary()
    assert keys
    assert not [key for key in sorted(keys) if not matching(known, key)]


@pytest.mark.parametrize("command", with_json())
def test_what_prints_numbers_has_its_words_explained(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"sim {command}" in SECTIONS, "add its words to sim/cli/words.py"
    if command in RUN_ELSEWHERE:
        return
    monkeypatch.chdir(place)
    line = re.sub(r" --format \w+", "", example(command))
    assert execute([*arguments_of(line), "--format", "json"]) == 0
    keys = set(keys_of(json.loads(capsys.readouterr().out)))
    known = vocabulary()
    assert keys
    assert not [key for key in sorted(keys) if not matching(known, key)]


def keys_of(plain: Any) -> Iterator[str]:
    """Every key that is a word of the program."""
    if isinstance(plain, list):
        for item in plain:
            yield from keys_of(item)
    elif isinstance(plain, dict):
        for key, value in plain.items():
            yield key
            yield from keys_of(list(value.values()) if key in NAMES_OF_USERS and isinstance(value, dict) else value)


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (["run"], "(see sim run --help)"),
        (["run", "s.yaml", "--fast"], "(see sim run --help)"),
        (["fly"], "(see sim --help)"),
        (["swep"], 'Did you mean "sweep"?'),
        (["run", "none.yaml"], "sim new FILE writes one"),
        (["sweep", "one.yaml"], "such as size: {path: nodes.gpu.count, values: [4, 13]}"),
        (["results", "none.db"], "sim sweep makes them"),
        (["plot", "one.yaml", "-o", "x.png"], "as sim sweep makes them"),
        (["chart", "none.jsonl", "--height", "1", "-o", "x.png"], "sim run --trace writes one"),
        (["chart", "one.yaml", "--height", "1", "-o", "x.png"], "as sim run --trace writes it"),
        (["merge", "-o", "x.db"], "as sim sweep makes them"),
        (["compare"], "such as scenarios/ways_out"),
        (["compare", "one.yaml"], "executor.seconds_per_request, or workload.model and hardware"),
        (["cosines", "one.yaml"], "executor kind: recorded"),
        (["new", "one.yaml"], "choose another name"),
        (["explain", "divrged", "nodes"], "did you mean diverged nodes?"),
        (["explain", "zzzzzz"], "`sim explain` alone lists all"),
    ],
)
def test_mistakes_name_the_next_step(
    arguments: list[str], step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text("nodes: {a: {count: 4, executor: {kind: cpu}}}\n", encoding="utf-8")
    assert execute(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert step in line


def completed(home: Path, words: str, script: str) -> set[str]:
    """What bash offers for the last of some words, in a shell that knows nothing but a script."""
    split = words.split(" ")
    code = (
        f"{script}\nCOMP_WORDS=({' '.join(shlex.quote(word) for word in split)}); COMP_CWORD={len(split) - 1}; "
        '_sim; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["/bin/bash", "--norc", "--noprofile", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
    )
    assert not done.stderr
    return set(done.stdout.split())


def test_bash_completes_after_eval_and_no_file_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert execute(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert completed(tmp_path, "sim ", script) == set(COMMANDS)
    assert completed(tmp_path, "sim re", script) == {name for name in COMMANDS if name.startswith("re")}
    assert completed(tmp_path, "sim run --for", script) == {"--format"}
    assert completed(tmp_path, "sim run --format ", script) == {"table", "json"}
    assert script.rstrip().endswith("complete -o default -F _sim sim"), "what is no command is completed as a file"
    assert not list(tmp_path.iterdir())


def test_completion_is_kept_where_it_is_asked_for_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("# mine\n", encoding="utf-8")
    asked = "~/.local/share/bash-completion/completions/sim"
    for _ in range(2):
        assert execute(["completion", "bash", "-o", asked]) == 0
    written = tmp_path / asked[2:]
    assert completed(tmp_path, "sim swe", f". {shlex.quote(str(written))}") == {"sweep"}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / ".bashrc", written]
    assert (tmp_path / ".bashrc").read_text(encoding="utf-8") == "# mine\n"
    capsys.readouterr()
    assert execute(["completion", "bash", "-o", "~/.bashrc"]) == 2
    assert "is left as it is" in capsys.readouterr().err
    assert (tmp_path / ".bashrc").read_text(encoding="utf-8") == "# mine\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)


def test_help_starts_fast() -> None:
    code = "import sys, sim.cli; sim.cli.execute([]); print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pydantic", "rich"} & set(done.stdout.splitlines()[-1].split())
