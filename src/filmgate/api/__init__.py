"""HTTP: what the command line does, for teams and other programs."""
