"""Domain model without IO: runs, stages, gates, manifests, envelopes, contracts and ports."""
