"""The words of the page around its tables."""

INTRODUCTION = """# Beside other tools

*Written by `make bench-peers`.*

{date}, Python {python}, {cpus} CPUs, {system}; medians of {rounds} rounds, every tool in turn in
each round (those that take less than 2 s three times), nothing in parallel. Other work on the
machine: load average {load}. To repeat it: `make bench-peers`. It installs each tool into an
environment of its own under `.peers/`, about 1.1 GB, and then took {minutes} here.

**The work.** A chain of steps. Each reads the file that the step before made, a list of 200
integers, adds 1 to each, and writes a file of its own. The work itself is next to nothing: what
is seen is the tool.
"""

TIMES = """
## What it costs

Seconds, whole processes from start to exit. *Again* is the same command once more when nothing
has changed, and after it how many of the 6 steps worked that time. *A step more* is the
difference of {long} and {short} steps, by step; *not seen* is less than the noise.
"""

MATRIX = """
## What a damaged file comes to

A chain of {short} steps, numbered from 0. After a run that ended well, the stored file of step
{before} is

- **cut**: half of the numbers are gone, the file is still valid;
- **flip**: one bit changes, so that one number is another; size and mtime are set back;
- **delete**: gone.

**kill** is another kind: a first run dies by `kill -9` of all its processes when the kernel has
half of the file of step {step} (a hook of the benchmark holds that one write there). Then the
tool is asked, each time in a fresh place. In brackets: the steps that worked afterwards.

- *refused*: it exits with an error, and the result is as it was.
- *repaired*: it exits with 0, the result is right and so is the file, whether the damage was
  noticed or all was simply done again.
- *wrong result*: it exits with 0 and the result is wrong.
- *wrong upstream*: it exits with 0, the result is still the right one, and the damaged file is
  left as good for the next who reads it.
- *left missing*: it exits with 0, the result is right, and the deleted file is not made again.
"""

LIMITS = """
## What the numbers do not say

- They say nothing about work that takes minutes. There the cost of a step disappears, and
  schedulers, remote machines, dashboards, retries and storage count, for which several of these
  tools exist.
- A tool that does everything again passes the first table of damage by doing so. With stages that
  take hours nobody asks for that, and *only from step 3 on* is what counts.
- Each tool is one variant, named below, with defaults unless it says otherwise. Others of its
  executors, servers and stores cost less or more. Some can be taught to check content: a data
  test in Dagster, a hash in a Luigi target, a validating dataset in Kedro. None does so by
  default.
- Filmgate and the plain process are scripts, as are Hamilton and Prefect; the others are their
  own command line. Filmgate's own command line imports more than its engine does.
- Filmgate and the plain process fsync each file; of the others none was asked to. On a disk with
  a slow flush that costs them more than it did here.
- The one who tampers in *flip* sets back what a tool may look at cheaply. Bit rot does the same
  without meaning it; a person at an editor does not.
- Deleting an intermediate file may be meant, and make-like tools allow it: hence *left missing*
  is not *wrong*.
- One machine, its disk in use by others: differences of a third say little.

Tools' telemetry is off by what they document: `DO_NOT_TRACK` and `KEDRO_DISABLE_TELEMETRY`
(Kedro), `HAMILTON_TELEMETRY_ENABLED`, `DVC_NO_ANALYTICS`, `telemetry: enabled: false` in
`dagster.yaml`, `DO_NOT_TRACK` and `PREFECT_SERVER_ANALYTICS_ENABLED` (Prefect). Each has a home
of its own under `.peers/`, in which it ran once before it was measured.
"""
