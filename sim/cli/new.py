"""`sim new`: a scenario to begin with, every part of it commented."""

from __future__ import annotations

import os
from pathlib import Path

TEMPLATE = """\
# A chain of nodes that run the same AI inference. Next:
#   sim run {file}                             how often its blocks fail, and why
#   sim sweep {file} --plot curve.png          the failure curve (see `sweep` below)
#   sim explain nodes.gpu.count                what a key means; sim explain, all of them
# What stands behind #: is left out for now; take the #: away to have it, a whole part at a time.
name: my chain
description: 13 nodes with GPUs that are deterministic 99.99 % of the time

nodes:
  gpu:                            # a group of nodes that are alike; the name is yours
    count: 13
    hardware: h100                # class label: nodes of one class can share noise
    power: 1                      # voting power (stake) of each node
    executor:
      kind: gpu                   # cpu: deterministic; recorded: outputs given as texts; numeric: numbers
      nondeterminism:
        difficulty: near_tie      # a few prompts split every set of nodes; independent and beta are others
        rate: 1e-4                # probability that a node deviates from the noise-free output ...
        per: request              # ... of a request; or of a token of it
#:  cpu: {count: 4, executor: {kind: cpu}}    # a second group

consensus:
  protocol: pbft                  # tendermint, hotstuff, icc; it matters message by message
  fault_threshold: 1/3            # share of the votes that may be faulty, read exactly: 1/3, 33 %, 0.25
  result: certify                 # every node votes on what it computed; propose: on what a leader computed

faults:
  byzantine: 0                    # nodes that lie; a mapping where there are several groups
  behaviour: silent               # random, collude, amplify, equivocate, withhold, delay

workload:
  requests_per_block: 1
  tokens: 256                     # output tokens of a request; they count where the rate is per token

run:
  engine: auto                    # the cheapest that can answer: exact, montecarlo or events
  blocks: 10000                   # of a simulation; what is exact needs none
  seed: 1                         # the same seed gives the same numbers, to the last bit

# Axes multiply: 5 rates and 3 numbers of nodes are 15 points. Only sim sweep looks at them.
sweep:
  rate: {path: nodes.gpu.executor.nondeterminism.rate, logspace: [1e-6, 1e-2], points: 5}
  nodes: {path: nodes.gpu.count, values: [4, 13, 40]}

# Message by message, in simulated time: latency in seconds, bandwidth in bytes a second.
#:network: {latency: 0.05, bandwidth: 1e8}

# Chains over time: a node that diverged is away for a while, and a failed block stops the chain.
#:recovery: {law: geometric, mean_blocks: 20}
#:on_failure: halt
"""
"""`sim new` writes it; `{file}` is the file's name."""
MARK = "#:"


def new(file: str, /) -> int:
    """Write a commented scenario to begin with; a file that exists is left as it is.

    For example: sim new chain.yaml

    Parameters
    ----------
    file
        Where to write it, with a name that ends in .yaml; missing folders are made.
    """
    from shlex import quote

    from sim.base.errors import Problem, ScenarioError
    from sim.base.text import printable

    path = Path(file)
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise ScenarioError([Problem("", "must end in .yaml", file, "sim new")])
    name = printable(quote(file))
    try:
        if os.path.lexists(path):
            raise ScenarioError([Problem("", "exists already, and is left as it is: choose another name", where=file)])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as opened:
            opened.write(TEMPLATE.replace("{file}", name))
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be written: {reason}", where=file)]) from None
    print(f"wrote {name}")
    print(f"next: sim run {name}")
    return 0
