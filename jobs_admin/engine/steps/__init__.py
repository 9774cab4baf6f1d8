"""The transitions of jobs.md's table, a module a verb: each a function of an open transaction, the time and its calls.

What decides between two callers is the guard in the statement, never a value that was read before it: the reads only
say which statement to try. Each step moves the counters, writes the attempt and the timeline, and wakes who waits.
A step takes the calls of a whole group at once, so that a statement need not be sent once for each.
"""
