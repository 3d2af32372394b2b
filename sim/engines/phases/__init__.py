"""The phases engine: whole vote phases at once, each node's time an order statistic (NumPy).

What to use when: for timing at any size, while nothing times out. It is equal to the events engine, on the same delays;
blocks in which a timer would run out, that fail, or in which nodes crash or come back, are run by that engine from the
state that the blocks before left.
"""
