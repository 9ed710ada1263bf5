"""Run folders, and files that are whole or not there at all.

Beside its evidence, the folder of an audit has what it takes to go on after an interruption: `run.json`, what was asked
for, from the start, and `journal.jsonl`, a line for each finished run of nmap, for each time the audit was resumed, and
at last that it is finished.
"""

from auditor.rundir.files import in_turn, write_anywhere, write_new, write_whole
from auditor.rundir.folder import RunDir
from auditor.rundir.journal import Shard
from auditor.rundir.leftovers import in_work
from auditor.rundir.rates import Borne, remember, remembered

__all__ = [
    "Borne",
    "RunDir",
    "Shard",
    "in_turn",
    "in_work",
    "remember",
    "remembered",
    "write_anywhere",
    "write_new",
    "write_whole",
]
