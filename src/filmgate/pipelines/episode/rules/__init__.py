"""What is decided about an episode: pure rules over times, boxes and numbers; no file in sight."""
