"""The endpoints, a file for each kind of thing that is asked about."""
