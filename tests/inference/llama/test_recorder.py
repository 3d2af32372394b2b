"""Recordings: what they hold, and that whatever stops one, the next call goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ggufs
import numpy as np
import pytest

from sim.base.errors import ScenarioError
from sim.inference.llama.gguf import Weights, read_weights
from sim.inference.llama.kernels import CONFIGURATIONS, REFERENCE, Kernels
from sim.inference.llama.recorder import Mode, Prompt, Recorder, Wanted, chosen, prompts_of
from sim.inference.llama.resume import record_all
from sim.inference.llama.storage import Storage
from sim.inference.llama.summary import summary_of
from sim.inference.recordings import Header, Record, reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTS = ["Hello, world", "a", "one two three", "zebra"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return read_weights(ggufs.tiny(tmp_path_factory.mktemp("gguf")))


def recorded(path: Path, weights: Weights, wanted: Wanted, texts: list[str] = TEXTS, replicas: int = 5) -> int:
    prompts = prompts_of(texts, weights, wanted.tokens, "prompts.txt")
    recorder = Recorder(weights, wanted, CONFIGURATIONS[:replicas])
    return record_all(path, wanted.header(weights, "a test"), prompts, recorder, lambda _: None)


def read(path: Path) -> list[Record]:
    with reading(path) as reader:
        return list(reader)


def test_teacher_forced_tokens_are_the_best_after_each_token_of_the_reference(tmp_path: Path, weights: Weights) -> None:
    recorded(tmp_path / "r.jsonl", weights, Wanted(dtype="bf16", tokens=6, gaps=2))
    records = read(tmp_path / "r.jsonl")
    assert [(r.prompt, r.replica) for r in records[:6]] == [
        *(("0001-4ae7c3b6", f"r{i}") for i in range(5)),
        ("0002-ca978112", "r0"),
    ]
    prompt = list(TEXTS[0].encode())
    teacher, network = weights.network("fp32"), weights.network("bf16")
    answer: list[int] = []
    for _ in range(6):
        answer.append(int(teacher.logits(prompt + answer, REFERENCE)[0].argmax()))
    for record, kernels in zip(records[:5], CONFIGURATIONS, strict=False):
        logits = network.logits(prompt + answer[:-1], kernels, last=6)
        assert record.tokens == logits.argmax(axis=1).tolist()
        assert record.hardware == kernels.label
        if record.replica in ("r0", "r1"):
            top = np.sort(logits, axis=1)
            assert record.gaps == pytest.approx((top[:, -1] - top[:, -2]).tolist(), abs=6e-4)
        else:
            assert record.gaps is None


def test_free_replicas_go_on_from_their_own_tokens(tmp_path: Path, weights: Weights) -> None:
    recorded(tmp_path / "r.jsonl", weights, Wanted(dtype="bf16", mode="free", tokens=8), replicas=3)
    network = weights.network("bf16")
    for record in read(tmp_path / "r.jsonl")[:3]:
        kernels = CONFIGURATIONS[int(record.replica[1:])]
        assert record.tokens is not None
        whole = network.logits(list(TEXTS[0].encode()) + record.tokens[:-1], kernels, last=8)
        leads = np.sort(whole, axis=1)
        clear = leads[:, -1] - leads[:, -2] > 0.3  # one pass over all rounds a little otherwise
        assert (whole.argmax(axis=1) == record.tokens)[clear].all()
        assert clear.sum() >= 4


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_two_recordings_are_the_same_bits(tmp_path: Path, weights: Weights, name: str) -> None:
    wanted = Wanted(dtype="fp16", tokens=5)
    for folder in ("one", "other"):
        recorded(tmp_path / folder / name, weights, wanted)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
@pytest.mark.parametrize("share", [0.0, 0.31, 0.5, 0.77, 0.995, 1.0])
def test_whatever_was_lost_is_recorded_anew(tmp_path: Path, weights: Weights, name: str, share: float) -> None:
    wanted, whole, torn = Wanted(dtype="bf16", tokens=5), tmp_path / "whole" / name, tmp_path / name
    recorded(whole, weights, wanted)
    content = whole.read_bytes()
    torn.write_bytes(content[: int(share * len(content))])
    had = recorded(torn, weights, wanted)
    assert had == {0.0: 0, 1.0: 4}.get(share, had)
    assert share != 0.77 or 1 <= had < 4
    assert torn.read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {"whole", name}


def test_a_stop_in_the_middle_of_a_prompt_keeps_the_prompts_before(tmp_path: Path, weights: Weights) -> None:
    wanted, path = Wanted(dtype="bf16", tokens=5), tmp_path / "r.jsonl"

    class Stopping(Recorder):
        def records(self, prompt: Prompt) -> Iterator[Record]:
            for number, record in enumerate(super().records(prompt)):
                if prompt.name.startswith("0003") and number == 2:
                    raise KeyboardInterrupt
                yield record

    prompts = prompts_of(TEXTS, weights, 5, "")
    stopping = Stopping(weights, wanted, CONFIGURATIONS[:5])
    with pytest.raises(KeyboardInterrupt):
        record_all(path, wanted.header(weights, ""), prompts, stopping, lambda _: None)
    assert len(read(path)) == 2 * 5
    assert recorded(path, weights, wanted) == 2
    assert len(read(path)) == 4 * 5


def test_more_prompts_are_put_behind(tmp_path: Path, weights: Weights) -> None:
    path, wanted = tmp_path / "r.jsonl", Wanted(dtype="bf16", tokens=5)
    assert recorded(path, weights, wanted, TEXTS[:2]) == 0
    before = path.read_bytes()
    assert recorded(path, weights, wanted) == 2
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtype": "fp16"}, "another dtype, 'bf16' and not 'fp16'"),
        ({"mode": "free"}, "another mode"),
        ({"round_logits": True}, "another logits_rounded"),
    ],
)
def test_a_recording_of_something_else_is_left_alone(
    tmp_path: Path, weights: Weights, change: dict[str, Any], words: str
) -> None:
    path, given = tmp_path / "r.jsonl", Wanted(dtype="bf16", tokens=5)
    recorded(path, weights, given)
    before = path.read_bytes()
    with pytest.raises(ScenarioError, match=words):
        recorded(path, weights, replace(given, **change))
    with pytest.raises(ScenarioError, match="other replicas than these 3"):
        recorded(path, weights, given, replicas=3)
    assert path.read_bytes() == before


def test_a_file_that_is_no_recording_is_left_alone(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(ScenarioError, match=r"notes.txt:1: must begin with a header"):
        recorded(path, weights, Wanted(dtype="bf16", tokens=5))
    assert path.read_text() == "my notes\n"


def test_prompts_without_room_are_refused(weights: Weights) -> None:
    with pytest.raises(ScenarioError) as caught:
        prompts_of(["fits", "", "x" * 60], weights, 8, "p.txt")
    assert [str(problem).split(": ")[0] for problem in caught.value.problems] == ["p.txt:2", "p.txt:3"]
    assert "1 to 56 tokens beside an answer of 8 (has 60)" in str(caught.value)


def test_the_first_of_equals_is_chosen() -> None:
    logits = np.array([[1.0, 3.0, 3.0], [1.001, 1.0, 0.0], [-2.0, -1.0, -3.0]], dtype=np.float32)
    best, gaps = chosen(logits)
    assert best == [1, 0, 1]
    assert gaps == pytest.approx([0, 0.001, 1], abs=1e-6)
    assert chosen(logits, Storage("bf16")) == ([1, 0, 1], [0.0, 0.0, 1.0])
    assert chosen(logits[:, ::-1], Storage("bf16"))[0] == [0, 1, 1]


def test_overflow_is_told(tmp_path: Path) -> None:
    arrays = ggufs.weights()
    arrays["blk.0.ffn_down.weight"] *= 1e5
    arrays["blk.0.ffn_up.weight"] *= 1e3
    (tmp_path / "large.gguf").write_bytes(ggufs.packed(ggufs.metadata(), arrays))
    weights = read_weights(tmp_path / "large.gguf")
    with pytest.raises(ScenarioError, match="its numbers overflow in fp16; another --dtype may hold them"):
        recorded(tmp_path / "r.jsonl", weights, Wanted(dtype="fp16", tokens=5))
    recorded(tmp_path / "s.jsonl", weights, Wanted(dtype="bf16", tokens=5))


@pytest.mark.parametrize("mode", ["teacher_forced", "free"])
def test_a_summary_counts_pairs_and_splits(tmp_path: Path, mode: Mode) -> None:
    said = (np.random.default_rng(2).random((5, 4, 6)) < 0.1).astype(int)
    header = Header(recording=1, mode=mode)
    with writing(tmp_path / "r.jsonl", header) as write:
        for prompt, replica in np.ndindex(5, 4):
            write(Record(prompt=f"p{prompt}", replica=f"r{replica}", tokens=said[prompt, replica].tolist()))
    seen = summary_of(tmp_path / "r.jsonl")
    decisions = said.transpose(0, 2, 1).reshape(30, 4) if mode == "teacher_forced" else said @ 2 ** np.arange(6)
    equal = decisions[:, :, None] == decisions[:, None]
    assert seen[:3] == (5, 4, len(decisions))
    assert 0 < seen.pair_mismatch < 1
    assert seen.pair_mismatch == pytest.approx((~equal).sum() / len(decisions) / 12)
    assert seen.split == pytest.approx((~equal).any(axis=(1, 2)).mean())
    assert seen.no_two_thirds == pytest.approx((equal.sum(axis=2).max(axis=1) < 3).mean())


def test_a_kernel_that_is_not_cut_is_the_reference() -> None:
    assert Kernels(order="tree").label == "split_k=1 order=tree kv_block=all norm_block=all"
