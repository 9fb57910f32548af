#!/usr/bin/python3
"""Peak resident memory of boxgrad and of PyTorch while they run an item of the benchmark.

usage: peak_memory.py [--ours build/bin/layers_bench] [--threads 1] ITEM...

Each program runs the item in a process of its own (both its forward and its forward + backward). The operating system
says how much memory the process held at most (ru_maxrss, what /usr/bin/time -v calls "Maximum resident set size"); from
this the peak of the same program without an item is taken off, which for PyTorch is what importing it costs.
PyTorch runs with the allocator settings that are fastest for it. Prints MiB.
"""
import argparse
import os
import re
import sys

ap = argparse.ArgumentParser()
ap.add_argument('--ours', default='build/bin/layers_bench')
ap.add_argument('--threads', default='1')
ap.add_argument('items', nargs='+')
args = ap.parse_args()
TUNED = dict(os.environ, MALLOC_TRIM_THRESHOLD_='2000000000', MALLOC_MMAP_THRESHOLD_='1000000000')


def peak_mib(command, environment):
    """Runs the command without output; its peak in MiB."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.execvpe(command[0], command, environment)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        sys.exit('peak_memory.py: failed: ' + ' '.join(command))
    return usage.ru_maxrss / 1024


PEER = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'against_pytorch.py'), '--pytorch']
OPTIONS = ['--threads', args.threads, '--budget', '0']


def peaks(item):
    """Of both; an item that PyTorch has no twin of, and --list, compute nothing."""
    ours = [args.ours] + (['--only', '^' + re.escape(item) + '$'] + OPTIONS if item else ['--list'])
    return peak_mib(ours, dict(os.environ)), peak_mib(PEER + [item or 'nothing'] + OPTIONS, TUNED)


bare = peaks(None)
print('%-34s %9s %9s %7s' % ('MiB above the bare process', 'ours', 'PyTorch', 'ratio'))
print('%-34s %9.0f %9.0f' % ('(bare process)', *bare))
for item in args.items:
    above = [peak - idle for peak, idle in zip(peaks(item), bare)]
    print('%-34s %9.0f %9.0f %7.2f' % (item, *above, above[0] / above[1]), flush=True)
