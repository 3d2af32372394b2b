"""What the words that commands print mean: the one place for them, from which tables take their columns.

A command that has results of its own adds a section here, by its name; a test looks at everything that commands print,
and names what is missing. Keys of JSON output that are fields of a dataclass are told in its docstring, and fields of
scenarios beside them in the schema: `sim explain` reads all three (see `vocabulary`).
"""

from __future__ import annotations

RUN = {
    "outcome": "How a block ends: agreed, no_quorum, wrong_result or forked. Exactly one of them.",
    "probability": "Share of the blocks, computed (exact) or estimated from those that were simulated.",
    "95 % interval": (
        "Where the true value lies: the interval misses it in at most 5 % of all runs (Clopper-Pearson for shares). "
        "`exact` where it was computed and not simulated."
    ),
    "agreed": "The honest majority's result has a quorum, and no other has: the block is committed, and right.",
    "no_quorum": "No result has a quorum: the block is not committed.",
    "wrong_result": "Exactly one result has a quorum, but it is not the one that most honest nodes computed.",
    "forked": "Two results have a quorum at once: the chain splits.",
    "block failure": "Probability that a block ends in anything but agreed.",
    "diverged nodes": (
        "Honest nodes a block whose answer is not the committed one, in the mean; a block that fails counts 0."
    ),
    "dropped": "Requests a block that no quorum agrees on, where every request is voted on by itself (result endorse).",
    "attempts": "Executions and votes a block, where a block without a quorum is tried again (consensus.appeal).",
    "nodes": "Number of machines.",
    "quorum": "Votes that certify a result: more than 1 - t of all, for a fault threshold t; in voting power.",
    "tolerates": "Faulty nodes that the chain is built to bear: fewer than a share t of all; in voting power.",
    "matching": "Which answers count as the same result.",
    "result": "How results are agreed: certify, propose or endorse (consensus.result).",
    "latency": (
        "Seconds from a block's start until replicas with more than f votes hold its result. p50, p95, p99: in half, "
        "95 % and 99 % of the agreed blocks it was at most that."
    ),
    "throughput": "Agreed blocks a second of simulated time.",
    "rounds": "Rounds (views) that an agreed block took, in the mean.",
    "messages": "Messages a block that were put on the wire, their bytes, and how many there are of each type.",
    "by messages": "Blocks that were run message by message, because something fails in them, or may time out.",
    "failed": "Blocks that were not agreed, by cause.",
    "unsafe": "The first time that a safety property did not hold: which, when, and by which nodes.",
    "network": "The network that the messages went over, defaults filled in.",
    "timeouts": "How long replicas wait before they go on without what they wait for, defaults filled in.",
    "nodes away": "Honest nodes that cannot vote in a slot, because an answer of theirs lost: they have not recovered.",
    "available": "Share of all slots in which a block was committed; slots after a halt count as lost.",
    "first failure": "Blocks until the first that fails, in the mean.",
    "longest stall": "Most slots in a row in which no block was committed.",
    "retries": "Further attempts at a block after the first, in the mean.",
    "halt": "When chains stop for good, and below it how many of them by cause.",
    "tests": (
        "Chance that a test of so many blocks sees neither a failure nor a node that diverges: the chain looks "
        "deterministic, and is not."
    ),
    "recovery": "For how long a node is away that diverged, and what a failed block is followed by.",
    "verification": "How the result of a single executor is verified, defaults filled in.",
    "cost": "Work of all machines for one answer, against that of one server, and its price where hours have one.",
    "filled in": "A value that the scenario leaves out, and the entry of the catalog that gives it.",
    "warning": "What to know before believing the numbers.",
    "engine": "Who answered: exact (computed), montecarlo (drawn votes) or events (message by message).",
    "block": "Which block of the run was looked at (--block).",
    "first_block": "The block that the run began with: the same, or 1 where it depends on those before.",
    "reason": "Why the run began with that block.",
    "filled_in": "Values that the scenario leaves out, by path, and the entry of the catalog that gives each (from).",
    "from": "The entry of the catalog that gave a value.",
}

SWEEP = {
    "block failure": RUN["block failure"],
    "95 % interval": RUN["95 % interval"],
    "blocks": "Blocks that were simulated for this point; empty where it is exact.",
    "engine": RUN["engine"],
    "blocks a second": RUN["throughput"],
    "x one server": "Work of all machines for one answer, as a multiple of what one server does.",
    "seconds": "Seconds of work that the point took (--timings); they differ from run to run.",
    "point": "Coordinates of a point: the value of each axis of the sweep.",
    "error": "Why a point failed; null if it did not.",
}

COMPARE = {
    "scenario": "Its name; * marks those that no other beats in failure, wrong results and work.",
    "failure": "Probability that a block fails, as the scenario has it.",
    "attacked": "Probability that a block fails where as many nodes attack as the chain tolerates, in the worst way.",
    "wrong result": "Probability that a wrong result is certified, under the attack that is worst for that.",
    "answer": "Time until the chain accepts a result.",
    "final": "Time until a result can no longer be taken back.",
    "machine-seconds": "Work of all machines for one answer.",
    "x one server": SWEEP["x one server"],
    "cost": "Price of that work, where every machine has a price per hour.",
}

PRICE = {
    "false accept": "Probability that the attackers' answer is certified once it is put to the vote.",
    "false reject": "Probability that honest nodes certify nothing, or several results, while attackers keep silent.",
}

ADVISE = {
    "cost": "What an answer costs: dollars where hours have a price, else machine-seconds, else nodes.",
    "nodes": "How many nodes of which kind.",
    "threshold": "Share of the nodes that may be faulty.",
    "attackers": "Byzantine nodes that the design is judged with.",
    "rule": "Which answers count as the same, and the value of the rule's parameter.",
    "failure": "Probability that blocks fail.",
    "wrong result": "Probability that a wrong result is certified.",
}

FEASIBILITY = {
    "platform": "A platform of the catalog.",
    "model": "A model of the catalog.",
    "needs": "Size of the model's weights.",
    "memory": "Memory that a program has on the platform.",
    "one answer": "Time until the answer is there.",
    "verdict": "runs, slow (a person would not wait), does not fit, or unknown (a figure is missing).",
}

CHECK = {
    "always": "What must hold whatever happens (invariants).",
    "sometimes": "What must have happened in some schedule, or the search has shown nothing.",
    "schedules": "Schedules that were run: orders in which messages arrive, timers run out and networks split.",
    "steps": "Deliveries and timers, in all schedules; in a violation, those that are needed for it.",
    "held": "The invariant was broken in no schedule.",
    "broken": "The invariant was broken; the steps that are needed are told below.",
    "protocol": "The protocol whose machines were run.",
    "byzantine": "Number of Byzantine nodes, each of them twins: two machines of one name.",
    "invariants": "Each invariant, and whether it held.",
    "missing": "What should have happened sometimes, and never did.",
    "violation": "The schedule that broke an invariant; null if none did.",
    "schedule": "Number of the schedule that broke the invariant; the seed and it repeat it.",
    "invariant": "Which invariant was broken.",
    "text": "What was seen, in words.",
    "length": "Steps of the schedule before it was shrunk.",
    "kept": "Which of its steps are needed, by number.",
}

REPLAY = {
    "same": "Everything is the same as when it was first run, to the last byte or bit.",
    "differs": "Something is not the same; the first difference is told.",
}

CATALOG = {
    "kind": "platforms, models, hardware or mitigations.",
    "name": "What a scenario writes to name the entry.",
    "title": "Its name in full.",
    "aliases": "Other names that mean the same entry.",
    "figures": "Its figures, each with its source.",
}

RECORD = {
    "recording": "The file that has the runs.",
    "prompts": "Number of prompts.",
    "replicas": "Machines, each with its own order of sums, or batch size.",
    "decisions": "Places in which replicas chose an output token, over all prompts.",
    "pair_mismatch": "Share of decisions in which two replicas differ.",
    "split": "Share of decisions in which not all replicas choose the same.",
    "no_two_thirds": "Share of decisions in which no token is chosen by more than two thirds of the replicas.",
}

CALIBRATE = {
    "prompts": "Number of prompts with runs.",
    "runs": "Runs of a prompt; above, of all prompts.",
    "points": "Decision points with two runs or more.",
    "per": "What a decision point is: a request, or a token where tokens are forced.",
    "bad_lines": "Lines that could not be read and were left out (--skip-bad).",
    "fits": "Fitted laws, the best first (lowest AIC).",
    "model": "Difficulty model that was fitted.",
    "parameters": "Its parameters, each with its 95 % interval.",
    "fit": "Difficulty model that was fitted; the best stands first.",
    "rate": "Probability that a run deviates from the commonest answer at one decision point.",
    "correlation": "How much deviations concentrate on the same decision points.",
    "alternatives": "Concentration of the wrong answers: 0, all the same.",
    "value": "The estimate.",
    "log_likelihood": "Logarithm of the probability that the law gives to what was recorded.",
    "log-likelihood": "Logarithm of the probability that the law gives to what was recorded.",
    "aic": "Akaike's criterion: lower is better; a difference below 2 tells little.",
    "quorum": "Size of a group of equal runs, of all runs of a prompt.",
    "observed": "What was seen: the share of points with such a group, or groups of each size in a point.",
    "predicted": "The same from each fitted law.",
    "groups": "Number of groups of equal runs of each size in a decision point.",
    "held_out": "What a fit to half of the runs predicts of the others.",
    "hazard": "Probability that two runs that agree so far part at the next token, by its place.",
    "flat": "Whether the hazard is the same early and late, as far as can be seen.",
    "level": "A value of the factor.",
    "differ": "How often two runs of this level differ.",
    "seen": "Whether the factor has an effect: the interval of `excess` excludes 0.",
    "effects": "How far machines of one level of a factor, and of two, differ (--by).",
    "executor": "What a scenario can take over: an executor with the best law.",
    "cannot_know": "What these recordings leave open.",
}

BENCH = {
    "engine": "Which engine, or bare event loop to compare it with.",
}

DEADLINE = {
    "deadline": "Seconds within which a block should have its result.",
}

EXPLAIN = {
    "word": "What is explained; * in a path stands for any name or number.",
    "where": "Where the word stands: a scenario, or what a command prints.",
    "text": "What it means.",
    "values": "Which values a field takes, and its default.",
    "named": "Values that have names, and can be asked for too.",
}

EXIT_CODES = {
    "exit code 0": "Done.",
    "exit code 1": "A fault of ours.",
    "exit code 2": "The command line or the scenario is wrong; every mistake is told in a line.",
    "exit code 3": "Done, but a bar that you set was missed, an invariant is broken, or a replay differs.",
    "exit code 130": "Interrupted; everything that was finished is kept.",
}

SECTIONS = {
    "sim run": RUN,
    "sim sweep": SWEEP,
    "sim results": SWEEP,
    "sim compare": COMPARE | PRICE,
    "sim advise": ADVISE,
    "sim feasibility": FEASIBILITY,
    "sim check": CHECK,
    "sim replay": REPLAY,
    "sim catalog": CATALOG,
    "sim record": RECORD,
    "sim calibrate": CALIBRATE,
    "sim bench": BENCH,
    "sim deadline": DEADLINE,
    "sim explain": EXPLAIN,
    "sim": EXIT_CODES,
}
"""Words by the command that prints them."""
