"""A scenario as text: a file that gives the same scenario when it is read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.scenario.schema import Scenario


def as_yaml(scenario: Scenario, sweep: Mapping[str, Any] | None = None) -> str:
    """Write a scenario as YAML 1.2, defaults filled in, and without what is not set.

    Parameters
    ----------
    scenario
        A validated scenario; its own sweep is left out.
    sweep
        A sweep to write with it.

    Examples
    --------
    >>> from sim.scenario.load import load_scenario
    >>> as_yaml(load_scenario("scenarios/healed_partition.yaml")).splitlines()[:5]
    ['name: healed partition', "description: ''", 'nodes:', '  validator:', '    count: 7']
    """
    from ruamel.yaml import YAML

    plain: dict[str, Any] = scenario.model_dump(mode="json", exclude={"sweep"}, exclude_none=True)
    if sweep:
        plain["sweep"] = dict(sweep)
    writer: Any = YAML(typ="safe", pure=True)
    writer.default_flow_style = None  # what holds no other is in one line
    writer.sort_base_mapping_type_on_output = False  # the order of the schema
    writer.width = 110
    text = io.StringIO()
    writer.dump(plain, text)
    return text.getvalue()
