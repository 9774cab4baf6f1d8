"""One timeline: what happened in each project, as counts, gauges and histograms in buckets of time.

`metrics` says what is kept; `tally` counts within a process; `store` writes the buckets, in the keeper only; `queries`
and `markers` are what pages read. Why it is built so: docs/decisions/0016.
"""
