"""Runs one command and prints its wall seconds, peak KiB and exit code.

A process of its own, and a small one: the kernel counts the memory of the process that forks
towards the peak of the one that it starts.
"""

import os
import sys
import time

begun = time.perf_counter()
child = os.fork()
if not child:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  the benchmark names the command
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begun
print(wall, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
