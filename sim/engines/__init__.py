"""Engines: the same scenario, one `Result` type, and tests that hold them against each other.

What to use when: `exact` for probabilities down to 1e-300 in milliseconds; `montecarlo` for every model and every
attack; `events` where messages, time and network matter; `phases` for the same at any size, while little goes wrong.
`auto` takes the cheapest that can answer, and says why.
"""
