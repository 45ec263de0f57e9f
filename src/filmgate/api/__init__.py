"""HTTP API: offers the functions of the command line to teams and other programs."""
