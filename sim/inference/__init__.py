"""What a node answers, and how honest answers differ: difficulty, alternatives, sharing, executors."""
