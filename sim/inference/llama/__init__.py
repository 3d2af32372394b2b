"""A Llama forward pass in NumPy, whose arithmetic is chosen: what recordings are made from.

What to use when: `gguf` reads weights, `kernels` says in which order sums are formed and how results are stored,
`network` runs the model, `tokens` turns text into token ids and back, `recorder` makes recordings.
"""
