"""Store run directories and objects: on disk, and in S3-compatible buckets."""
