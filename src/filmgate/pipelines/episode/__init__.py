"""Episode: from a video to its scenes, words and people, every result aligned in time."""
