"""Pass C of the rulebook pipeline, run in the folder of a job."""

from filmgate.services.passes import make_pass_runner

run = make_pass_runner("rulebook", "C")
