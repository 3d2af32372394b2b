"""What entries of the catalog fill in: platform, model, hardware, preset, arithmetic, verification system.

Explicit values win. A hardware label fills in time and cost only, and only where a scenario names a model or a
platform; labels that the catalog does not know stay free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sim.base.errors import Problem
from sim.base.text import did_you_mean
from sim.catalog.catalog import Catalog, builtin
from sim.catalog.figures import Count
from sim.catalog.speed import Speed, speed_on
from sim.consensus.verification import VERIFICATIONS

if TYPE_CHECKING:
    from sim.catalog.entries import Hardware, Mitigation, ModelEntry, Platform
    from sim.catalog.figures import Sourced

TOKENS_MAX = 1_000_000
_DIGITS = 6  # of times that are worked out: sources give three


class Filled(NamedTuple):
    """A value that an entry of the catalog filled in."""

    value: Any
    entry: str


class Filling:
    """Fills entries of the catalog into one scenario as written.

    Parameters
    ----------
    tree
        The scenario as written, not validated; changed in place.
    catalog
        Where names are looked up; None: what is shipped.

    Attributes
    ----------
    filled : dict
        Path to value and entry.
    problems : list of Problem
        Names that the catalog does not know.
    """

    def __init__(self, tree: dict[str, Any], catalog: Catalog | None) -> None:
        self.tree, self._catalog = tree, catalog
        self.filled: dict[str, Filled] = {}
        self.problems: list[Problem] = []

    @property
    def catalog(self) -> Catalog:
        """The catalog, read when it is first needed."""
        return self._catalog or builtin()

    def run(self) -> None:
        """Fill in all that entries say."""
        platform = self._named("platform", "platforms", self.tree, "platform")
        workload = self.tree.get("workload")
        model = self._named("workload.model", "models", workload, "model")
        platform_entry = self.catalog.platforms[platform] if platform else None
        if platform and platform_entry:
            self._platform(platform_entry, f"platform {platform}")
        if model and isinstance(workload, dict):
            tokens = self.catalog.models[model].tokens
            self._put(workload, "workload.tokens", tokens, f"model {model}")
        for name, group in _groups(self.tree).items():
            if platform or model:
                self._hardware(name, group, platform_entry, model)
            self._preset(f"nodes.{name}.executor.nondeterminism", group.get("executor"))
            self._arithmetic(f"nodes.{name}.executor", group.get("executor"))
        self._verification(model)

    def _named(self, path: str, kind: Any, parent: Any, key: str) -> str | None:
        """Look up a name, and write the entry's own name where an alias stood."""
        name = parent.get(key) if isinstance(parent, dict) else None
        if not isinstance(name, str) or not name:
            return None
        found = self.catalog.find(kind, name)
        if found is None:
            self.problems.append(Problem(path, self.catalog.unknown(kind, name), name))
        else:
            parent[key] = found
        return found

    def _put(self, parent: dict[str, Any], path: str, figure: Sourced | None, entry: str) -> None:
        """Fill in a figure where nothing is written."""
        value: Any = getattr(figure, "value", None)
        if value is not None:
            self._value(parent, path, int(value) if isinstance(figure, Count) else value, entry)

    def _value(self, parent: dict[str, Any], path: str, value: Any, entry: str) -> None:
        key = path.rpartition(".")[2]
        if parent.get(key) is None:
            parent[key] = value
            self.filled[path] = Filled(value, entry)

    def _platform(self, platform: Platform, entry: str) -> None:
        consensus = self.tree.setdefault("consensus", {})
        if isinstance(consensus, dict):
            if platform.fault_threshold:
                self._value(consensus, "consensus.fault_threshold", str(platform.fault_threshold.value), entry)
            self._put(consensus, "consensus.protocol", platform.protocol, entry)
            self._put(consensus, "consensus.result", platform.result, entry)
        groups = _groups(self.tree)
        if len(groups) == 1:
            ((name, group),) = groups.items()
            self._put(group, f"nodes.{name}.count", platform.nodes, entry)

    def _hardware(self, name: str, group: dict[str, Any], platform: Platform | None, model: str | None) -> None:
        """Time and cost of a group's machines."""
        executor, workload = group.get("executor"), self.tree.get("workload")
        contract = isinstance(executor, dict) and executor.get("kind") == "cpu" and platform is not None
        label = group.get("hardware", None if contract else name)  # a contract's CPUs are its platform's
        found = self.catalog.find("hardware", label) if isinstance(label, str) else None
        hardware = self.catalog.hardware[found] if found else None
        kind = executor.get("kind") if isinstance(executor, dict) else None
        if hardware and "hardware" not in group and hardware.kind != kind:
            hardware = None  # a group's name is not meant so
        if hardware:
            self._put(group, f"nodes.{name}.price_per_hour", hardware.price_per_hour, f"hardware {found}")
        tokens = _tokens(workload)
        if model is None or not isinstance(executor, dict) or tokens is None:
            return
        speed = self._speed(hardware, platform if contract else None, model)
        if speed:
            seconds = float(f"{tokens * speed.seconds_per_token:.{_DIGITS}g}")
            what = f"hardware {found}" if hardware else "the platform"
            entry = f"model {model} on {what} ({speed.how})"
            self._value(executor, f"nodes.{name}.executor.seconds_per_request", seconds, entry)

    def _speed(self, hardware: Hardware | None, platform: Platform | None, model: str) -> Speed | None:
        entry: ModelEntry = self.catalog.models[model]
        if hardware:
            return speed_on(hardware, model, entry)
        if platform and platform.operations_per_s:
            rate = platform.operations_per_s.value
            return Speed(entry.operations_per_token.value / rate, "the operations that a contract may execute")
        return None

    def _preset(self, path: str, executor: Any) -> None:
        """The law that a preset stands for, with what is known of its parameters; explicit values win."""
        law = executor.get("nondeterminism") if isinstance(executor, dict) else None
        name = self._named(f"{path}.preset", "presets", law, "preset")
        if not isinstance(law, dict) or "preset" not in law:
            return
        if name is None:
            if isinstance(law["preset"], str) and law["preset"]:  # it is told; nothing else is to be
                law |= {"rate": law.get("rate", 0.0)}
                del law["preset"]
            return
        entry, given = self.catalog.presets[name], set(law)
        del law["preset"]
        self._put(law, f"{path}.difficulty", entry.difficulty, f"preset {name}")
        if law["difficulty"] != entry.difficulty.value:
            return  # another law has other parameters
        spans: dict[str, list[float]] = {}
        for key in ("rate", "correlation", "alternatives"):
            figure = getattr(entry, key)
            self._put(law, f"{path}.{key}", figure, f"preset {name}")
            if figure is not None and figure.low is not None and figure.high is not None and key not in given:
                spans[key] = [figure.low, figure.high]
        if spans:
            law.setdefault("intervals", spans)

    def _arithmetic(self, path: str, executor: Any) -> None:
        name = executor.get("arithmetic") if isinstance(executor, dict) else None
        entry = self.catalog.mitigations.get(name) if isinstance(name, str) and name != "native" else None
        if entry and entry.kind == "arithmetic":
            for key in ("slowdown", "residual"):
                self._put(executor, f"{path}.{key}", getattr(entry, key), f"arithmetic {name}")

    def _verification(self, model: str | None) -> None:
        verification = self.tree.get("verification")
        kind = verification.get("kind") if isinstance(verification, dict) else None
        if not isinstance(verification, dict) or not isinstance(kind, str) or kind not in VERIFICATIONS.builtin:
            return
        chosen = VERIFICATIONS.load(kind)
        system = verification.get("system", getattr(chosen, "SYSTEM", None))
        if not isinstance(system, str) or not hasattr(chosen, "SYSTEM"):
            return
        found = self.catalog.find("mitigations", system)
        entry = self.catalog.mitigations[found] if found else None
        if entry is None or entry.kind != kind:
            entry = self._wrong_system(system, kind, chosen.SYSTEM)
        for key in chosen.FIGURES:
            self._put(verification, f"verification.{key}", getattr(entry, key), f"{kind} {system}")
        if kind == "proof" and model and "prover_ratio" not in self._written(verification):
            self._proof(verification, entry, model, f"{kind} {system} of {model}")

    def _wrong_system(self, system: str, kind: str, instead: str) -> Mitigation:
        """Tell of a system that is not of this kind, and go on with another, so that nothing else is told for it."""
        if system not in builtin().mitigations:  # the schema tells of those
            known = [name for name, entry in self.catalog.mitigations.items() if entry.kind == kind]
            message = f"is no {kind} of the catalog; {did_you_mean(system, known)}"
            self.problems.append(Problem("verification.system", message, system))
        return builtin().mitigations[instead]

    def _written(self, verification: dict[str, Any]) -> set[str]:
        """Keys that the user wrote."""
        return {key for key in verification if f"verification.{key}" not in self.filled}

    def _proof(self, verification: dict[str, Any], entry: Mitigation, model: str, name: str) -> None:
        """Measured proving time of a model, for an answer or token by token."""
        self._put(verification, "verification.prove_s", entry.prove_s.get(model), name)
        each, tokens = entry.prove_s_per_token.get(model), _tokens(self.tree.get("workload"))
        if each and tokens is not None:
            self._value(verification, "verification.prove_s", each.value * tokens, name)


def _tokens(workload: Any) -> int | None:
    """Tokens of an answer, where they are a number that a scenario may have."""
    tokens = workload.get("tokens") if isinstance(workload, dict) else None
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and 1 <= tokens <= TOKENS_MAX else None


def _groups(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    nodes = tree.get("nodes")
    if not isinstance(nodes, dict):
        return {}
    return {name: group for name, group in nodes.items() if isinstance(group, dict)}
