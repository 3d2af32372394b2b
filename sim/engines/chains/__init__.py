"""Chains over time at the vote level: nodes that diverge are away, retries, halts."""
