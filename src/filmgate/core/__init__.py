"""Core decides: runs, stages, gates, manifests, envelopes and contracts as pure values."""
