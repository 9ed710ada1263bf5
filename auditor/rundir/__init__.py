"""Run folders, and files that are whole or not there at all.

Beside its evidence, the folder of an audit has what it takes to go on after an interruption: `run.json`, what was asked
for, from the start, and `journal.jsonl`, a line for each finished run of nmap, for each time the audit was resumed, and
at last that it is finished.
"""
