"""Platforms, models, hardware and mitigations: figures with their sources, and their reader."""
