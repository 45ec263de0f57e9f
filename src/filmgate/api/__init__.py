"""HTTP API: the functions of the command line for teams and other programs."""
