"""What the user writes: the schema of a scenario, reading it from a file, and its identity."""
