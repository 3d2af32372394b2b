"""Many scenarios at once: the points of a sweep, where their results are kept, and what runs them."""
