"""The Overview: is anything wrong? What is read of queue, cache and house, and the sentences and figures made of it.

queue.py, cache.py and house.py read how things stand, outcomes.py how types did lately and history.py the time shown
(both by lines.py, many lines at once); issues.py and tiles.py say what it means, and read nothing. looks.py lets all who
open the page at once share one look. steps.py is for a project that nothing was ever put into.
"""
