"""The same small chain of steps in other tools and in Filmgate, measured and tampered with."""
