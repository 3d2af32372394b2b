"""Questions that need several runs, or none: what fits, what is credible, what each way out costs."""
