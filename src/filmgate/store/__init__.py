"""The store keeps run directories on disk: records, artifact files, leases."""
