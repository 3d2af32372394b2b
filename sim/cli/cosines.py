"""`sim cosines`: how alike recorded answers are in meaning, for a scenario with semantic matching."""

from __future__ import annotations

import json


def cosines(scenario: str, /) -> int:
    """Embed the recorded answers of a scenario, and print what `consensus.matching` needs (extra `semantic`).

    For example: sim cosines scenarios/three_computers.yaml

    Parameters
    ----------
    scenario
        A scenario file (YAML) with recorded answers; what it has for `consensus.matching` is not looked at.
    """
    from sim.analysis.embedding import cosines as embedded
    from sim.base.errors import Problem, ScenarioError
    from sim.inference.executors import Recorded
    from sim.scenario.load import load_scenario

    loaded = load_scenario(scenario, flags={"consensus.matching": ("sim cosines", None)})
    texts: list[str] = []
    for name, group in sorted(loaded.nodes.items()):
        if isinstance(group.executor, Recorded):
            texts += group.executor.outputs[: group.count - loaded.faults.of(name)]
    texts += [loaded.faults.answer] if loaded.faults.answer is not None else []
    if not texts:
        message = "must have recorded answers to embed (executor kind: recorded), as scenarios/three_computers.yaml has"
        raise ScenarioError([Problem("nodes", message, where=scenario)])
    different = list(dict.fromkeys(texts))
    table = embedded(different)
    print("consensus:\n  matching:\n    kind: semantic\n    threshold: 0.5\n    texts:")
    for text in different:
        print(f"      - {json.dumps(text, ensure_ascii=False)}")
    print("    cosines:")
    for row in table:
        print(f"      - [{', '.join(f'{value:.4f}' for value in row)}]")
    return 0
