"""`sim schema`: the JSON Schema of scenario files, for editors."""

from __future__ import annotations


def schema() -> int:
    """Print the JSON Schema of scenario files.

    For example: sim schema > scenario.schema.json

    Save it and name it in the first line of a scenario, `# yaml-language-server: $schema=scenario.schema.json`, and an
    editor completes keys, shows what they mean, and marks mistakes.
    """
    import json

    from sim.scenario.schema import Scenario

    print(json.dumps(Scenario.model_json_schema(), indent=2))
    return 0
