"""The episode pipeline: finds scenes, words and people in a video."""
