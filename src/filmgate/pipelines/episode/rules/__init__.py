"""Decision rules of the episode pipeline: pure functions of times, boxes and numbers."""
