"""The gameplay pipeline: extracts recorded game sessions and checks their quality."""
