"""The events engine: nodes exchange messages over a network, one by one, in simulated time (SimPy).

What to use when: for what votes alone can't tell: latency, throughput, timeouts, view changes, partitions, and what
attackers do with timing. It costs about a microsecond or two a message, of which a block has n^2 and more.
"""
