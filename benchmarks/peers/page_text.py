"""Texts of the section around its tables."""

INTRODUCTION = """# Beside other tools

*Written by `make bench-peers`.*

{date}, Python {python}, {cpus} CPUs, {system}. Figures are medians of {rounds} rounds. Each round
runs every tool (those that take less than 2 s three times), one after the other. Other work on the
machine: load average {load}. To repeat it, run `make bench-peers`. It installs each tool into a
separate environment under `.peers/`, about 1.1 GB, and then took {minutes} here.

**The work** is a chain of steps. Each step reads the file that the previous step made, a list of
200 integers, adds 1 to each, and writes another file. The work itself takes almost no time, so the
figures show the cost of the tool.
"""

TIMES = """
## What it costs

Times are seconds of whole processes from start to exit. *Again* is the same command once more when
nothing has changed. *Worked again* is how many of the 6 steps were executed that time. *A step
more* is the difference between {long} and {short} steps, per step. *Not seen* is less than the
noise.
"""

MATRIX = """
## What a damaged file leads to

A chain has {short} steps, numbered from 0. After a successful run, the stored file of step
{before} is damaged in one of three ways:

- **cut**: half of the numbers are removed, and the file is still valid.
- **flip**: one bit is changed, so that one number is different. Size and mtime are restored.
- **delete**: the file is deleted.

**kill** is different: a first run is ended by `kill -9` of all its processes when the kernel has
half of the file of step {step}. A hook of the benchmark stops that write at this point. Then the
tool is run again, each time in a new folder. The steps that were executed then are in brackets.

- *refused*: the tool exits with an error, and the result is unchanged.
- *repaired*: it exits with 0, and both the result and the file are correct, whether the damage was
  noticed or all steps were simply executed again.
- *wrong result*: it exits with 0, and the result is wrong.
- *wrong upstream*: it exits with 0 and the result is still correct, but the damaged file is kept as
  valid for the next reader.
- *left missing*: it exits with 0, the result is correct, and the deleted file is not made again.
"""

LIMITS = """
## What the numbers do not say

- They say nothing about work that takes minutes. There, the cost of a step does not matter. What
  matters are schedulers, remote machines, dashboards, retries and storage, for which several of
  these tools exist.
- A tool that executes every step again passes the first table of damage by doing so. With stages
  that take hours that is not an option, and *only from step 3 on* is what matters.
- Each tool is measured in one variant, described above, with defaults unless stated otherwise. Its
  other executors, servers and stores cost less or more. Some tools can be configured to check
  content: a data test in Dagster, a hash in a Luigi target, a validating dataset in Kedro. None
  does so by default.
- Filmgate, the plain process, Hamilton and Prefect are run by scripts, the others by their own
  command lines. Filmgate's own command line imports more than its engine does.
- Filmgate and the plain process fsync each file. The others were not configured to. On a disk with
  a slow flush that costs Filmgate and the plain process more than it did here.
- *flip* restores what a tool can check cheaply. Bit rot does the same. A person with an editor does
  not.
- Deleting an intermediate file may be intended, and make-like tools allow it. *Left missing* is
  therefore not *wrong*.
- All figures are from one machine, whose disk was used by others too. Differences of a third mean
  little.

The tools' telemetry is disabled as documented: `DO_NOT_TRACK` and `KEDRO_DISABLE_TELEMETRY`
(Kedro), `HAMILTON_TELEMETRY_ENABLED`, `DVC_NO_ANALYTICS`, `telemetry: enabled: false` in
`dagster.yaml`, `DO_NOT_TRACK` and `PREFECT_SERVER_ANALYTICS_ENABLED` (Prefect). Each tool has a
separate home under `.peers/` and ran there once before it was measured.
"""
