"""Compare Filmgate with other tools: the time of a small chain of steps, and damaged files."""
