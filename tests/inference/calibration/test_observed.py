"""What is gathered from recordings and tables, and what is refused, with its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sim.base.errors import ScenarioError
from sim.inference.calibration.choice import Choice
from sim.inference.calibration.observed import gather
from sim.inference.calibration.pairs import effect, hazard
from sim.inference.recordings import Header, Record, writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def recording(path: Path, records: Sequence[Record], **header: Any) -> Path:
    with writing(path, Header(recording=1, **header)) as put:
        for record in records:
            put(record)
    return path


def told(path: Path, choice: Choice | None = None) -> str:
    with pytest.raises(ScenarioError) as caught:
        gather([path], choice)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(path), "FILE")


def sizes(path: Path, choice: Choice | None = None) -> list[tuple[int, ...]]:
    partitions = gather([path], choice).partitions()
    return sorted(
        partitions.sizes[kind]
        for kind, number in zip(partitions.kind, partitions.number, strict=True)
        for _ in range(number)
    )


def test_runs_with_the_same_output_are_one_group(tmp_path: Path) -> None:
    runs = [Record(prompt="p", replica=str(i), tokens=[1, i // 3]) for i in range(5)]
    runs += [Record(prompt="q", replica=str(i), text="same") for i in range(4)]
    runs += [Record(prompt="r", replica="0", hash="same"), Record(prompt="r", replica="1", text="same")]
    assert sizes(recording(tmp_path / "r", runs)) == [(1, 1), (3, 2), (4,)]


def test_forced_tokens_are_compared_one_by_one(tmp_path: Path) -> None:
    runs = [Record(prompt="p", replica=str(i), tokens=[7, 1 + (i > 0), 9]) for i in range(3)]
    assert sizes(recording(tmp_path / "r", runs, mode="teacher_forced")) == [(2, 1), (3,), (3,)]


@pytest.mark.parametrize(
    ("records", "header", "expected"),
    [
        ([Record(prompt="p", hash="x")] * 2, {}, "FILE:3: is a run that was there before"),
        (
            [Record(prompt="p", replica="a", tokens=[1]), Record(prompt="p", replica="b", tokens=[1, 2])],
            {"mode": "teacher_forced"},
            "FILE:3: must have 1 tokens, as the runs before of its prompt (has 2)",
        ),
        ([Record(prompt="p", text="x")], {"mode": "teacher_forced"}, "FILE:2: must have tokens, since the header"),
        ([Record(prompt="p", hash="x"), Record(prompt="q", hash="x")], {}, "FILE: no prompt has two runs"),
        ([], {}, "FILE: there is no run"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(
    records: list[Record], header: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    assert told(recording(tmp_path / "r", records, **header)).startswith(expected)


def test_repeated_runs_can_be_left_out(tmp_path: Path) -> None:
    runs = [Record(prompt="p", replica=str(i % 3), hash="x") for i in range(5)]
    observed = gather([recording(tmp_path / "r", runs)], Choice(skip_bad=True))
    assert (observed.runs, observed.bad) == (3, 2)


def test_prompts_of_several_recordings_are_one(tmp_path: Path) -> None:
    one, other = ([Record(prompt="p", replica=name, hash=name)] for name in "ab")
    observed = gather([recording(tmp_path / "a", one), recording(tmp_path / "b", other)])
    assert observed.partitions().sizes == ((1, 1),)


def test_recordings_of_different_arithmetic_do_not_mix(tmp_path: Path) -> None:
    runs = [Record(prompt="p", hash="x")]
    paths = [recording(tmp_path / name, runs, dtype=name) for name in ("bf16", "fp16")]
    with pytest.raises(ScenarioError, match="its dtype is 'fp16', and 'bf16' in the file before"):
        gather(paths)


def test_runs_can_be_chosen(tmp_path: Path) -> None:
    runs = [Record(prompt="p", replica=str(i), hardware="ab"[i % 2], batch=1 + i // 2, hash="x") for i in range(6)]
    path = recording(tmp_path / "r", runs)
    assert sizes(path, Choice(where={"hardware": "a"})) == [(3,)]
    assert sizes(path, Choice(where={"batch": "2"})) == [(2,)]
    assert told(path, Choice(where={"hardwear": "a"})) == "FILE: has no 'hardwear'; did you mean hardware?"
    assert told(path, Choice(where={"hardware": "c"})).startswith("FILE: there is no run where")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class_sizes\n7;2;1\n10\n", [(7, 2, 1), (10,)]),
        ("a,class_sizes\nx,1; 9\n\ny,5\n", [(5,), (9, 1)]),
        ('\ufeffclass_sizes,b\r\n3;3,"two\nlines"\r\n', [(3, 3)]),
    ],
)
def test_a_table_needs_only_sizes(text: str, expected: list[tuple[int, ...]], tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(text, newline="")
    assert sizes(tmp_path / "c.csv") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sizes\n1\n", "FILE:1: must be a recording, or CSV with a column class_sizes (it has sizes)"),
        ("", "FILE:1: must be a recording, or CSV with a column class_sizes (it has none)"),
        ("class_sizes\n2;1\nx\n", "FILE:3: class_sizes must be numbers such as 7;2;1 (got 'x')"),
        ("class_sizes\n0;1\n", "FILE:2: class_sizes must be positive"),
        ("class_sizes\n999;999\n", "FILE:2: class_sizes must be positive, of at most 1,000 runs"),
        ("a,class_sizes\n2;1\n", "FILE:2: must have 2 values, as the first line (has 1)"),
        ("class_sizes\n" + "1" * 200_000 + "\n", "FILE:2: cannot be read: field larger than field limit"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(text)
    assert told(tmp_path / "c.csv").startswith(expected)


def test_wrong_rows_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("class_sizes\n2;1\nx\n0\n3\n")
    observed = gather([tmp_path / "c.csv"], Choice(skip_bad=True))
    assert (observed.partitions().points, observed.bad) == (2, 2)


def parting(seed: int, chance: float, *, growth: float = 1.0, prompts: int = 300, tokens: int = 40) -> list[Record]:
    """Two runs a prompt, which part at each token with a chance that grows by a factor over the output."""
    stream = np.random.default_rng(seed)
    records = []
    for number in range(prompts):
        first = list(range(tokens))
        chances = chance * growth ** (np.arange(tokens) / tokens)
        parts = np.flatnonzero(stream.random(tokens) < chances)
        other = first if not len(parts) else [*first[: parts[0]], *[999] * (tokens - parts[0])]
        records += [Record(prompt=str(number), replica=name, tokens=run) for name, run in (("a", first), ("b", other))]
    return records


@pytest.mark.parametrize(("growth", "flat"), [(1.0, True), (30.0, False)])
def test_the_hazard_per_token_comes_back(growth: float, flat: bool, tmp_path: Path) -> None:
    observed = gather([recording(tmp_path / "r", parting(3, 0.01, growth=growth))])
    found = hazard(observed, np.random.default_rng(1))
    assert found is not None
    assert found.flat is flat
    assert found.edges[0] == 0
    assert found.edges[-1] == 40
    if flat:
        assert found.overall.low < 0.01 < found.overall.high
        assert sum(value.low <= 0.01 <= value.high for value in found.per_token) >= len(found.per_token) - 2


def test_a_forced_hazard_counts_every_token(tmp_path: Path) -> None:
    runs = [Record(prompt="p", replica="a", tokens=[1, 2, 3, 4]), Record(prompt="p", replica="b", tokens=[9, 2, 9, 4])]
    observed = gather([recording(tmp_path / "r", runs, mode="teacher_forced")])
    found = hazard(observed, np.random.default_rng(1))
    assert found is not None
    assert found.overall.value == 0.5


def test_no_tokens_no_hazard(tmp_path: Path) -> None:
    runs = [Record(prompt="p", replica=name, hash="x") for name in "ab"]
    assert hazard(gather([recording(tmp_path / "r", runs)]), np.random.default_rng(1)) is None


@pytest.mark.parametrize("matters", [True, False])
def test_an_effect_of_hardware_is_seen_where_there_is_one(matters: bool, tmp_path: Path) -> None:
    stream = np.random.default_rng(5)
    runs = []
    for prompt in range(200):
        differs = stream.random() < 0.2
        for index in range(6):
            answer = (index % 2 if matters else int(stream.integers(2))) if differs else 0
            runs.append(Record(prompt=str(prompt), replica=str(index), hardware="ab"[index % 2], hash=str(answer)))
    observed = gather([recording(tmp_path / "r", runs)], Choice(by=("hardware",)))
    found = effect(observed, 0, np.random.default_rng(1))
    assert found.seen is matters
    assert [level.runs for level in found.levels] == [600, 600]
    assert found.between is not None
    assert found.within is not None
    if matters:
        assert found.within.value == 0
        assert found.between.value == pytest.approx(0.2, abs=0.08)


def test_levels_that_never_meet_have_no_effect_to_see(tmp_path: Path) -> None:
    runs = [Record(prompt=h, replica=str(i), hardware=h, hash="x") for h in "ab" for i in range(3)]
    observed = gather([recording(tmp_path / "r", runs)], Choice(by=("hardware",)))
    found = effect(observed, 0, np.random.default_rng(1))
    assert found.seen is None
    assert json.dumps(found.to_dict())


def test_an_effect_on_forced_tokens_counts_every_token(tmp_path: Path) -> None:
    runs = [Record(prompt="p", replica=str(i), hardware="ab"[i % 2], tokens=[1, 2 + i % 2, 3, 4]) for i in range(4)]
    observed = gather([recording(tmp_path / "r", runs, mode="teacher_forced")], Choice(by=("hardware",)))
    found = effect(observed, 0, np.random.default_rng(1))
    assert found.between is not None
    assert found.within is not None
    assert (found.within.value, found.between.value) == (0, 0.25)
