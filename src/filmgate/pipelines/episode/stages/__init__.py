"""The stages of the episode pipeline, one file each."""
