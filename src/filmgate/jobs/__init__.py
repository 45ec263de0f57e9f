"""Execution of runs that were submitted over HTTP: queue, worker and job process."""
