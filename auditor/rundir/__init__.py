"""Run folders, and files that are whole or not there at all.

Beside its evidence, the folder of an audit has what it takes to go on after an interruption: `run.json`, what was asked
for, from the start, and `journal.jsonl`, a line for each finished run of nmap and for each time the audit was resumed.
"""

from auditor.rundir.files import write_anywhere, write_new, write_whole
from auditor.rundir.folder import RunDir
from auditor.rundir.journal import Shard
from auditor.rundir.rates import Borne, remember, remembered

__all__ = ["Borne", "RunDir", "Shard", "remember", "remembered", "write_anywhere", "write_new", "write_whole"]
