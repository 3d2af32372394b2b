"""Difficulty models: how likely a node is to deviate, given how hard the decision point is.

What to use when: `near_tie` for GPUs at temperature 0 (most prompts are safe, a few near ties split every set of
replicas at once); `beta` when recordings give an intra-prompt correlation, or `zero_inflated` when they say that most
prompts never deviate; `empirical` to replay a recording; `independent` only as the contrast.
"""

from sim.base.registry import Registry

DIFFICULTIES = Registry(
    key="difficulty",
    builtin={
        "independent": "sim.inference.difficulty.independent:Independent",
        "near_tie": "sim.inference.difficulty.near_tie:NearTie",
        "beta": "sim.inference.difficulty.beta:Beta",
        "zero_inflated": "sim.inference.difficulty.zero_inflated:ZeroInflated",
        "empirical": "sim.inference.difficulty.empirical:Empirical",
    },
    group="sim.difficulty",
    default="near_tie",
)
