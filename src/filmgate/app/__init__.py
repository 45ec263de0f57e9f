"""App is the composition root: settings, wiring, and the System that the faces call."""
