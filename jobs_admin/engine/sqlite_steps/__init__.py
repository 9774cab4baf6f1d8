"""The transitions of jobs.md's table on SQLite, a module a verb: each a function of an open transaction and the time.

What decides between two callers is the guard in the statement, never a value that was read before it: the reads only
say which statement to try. Each step moves the counters, writes the attempt and the timeline, and wakes who waits.
"""
