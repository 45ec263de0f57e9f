"""Decision rules of the gameplay pipeline: pure functions of values."""
