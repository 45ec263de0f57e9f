"""The store keeps run directories and objects: on disk, and in buckets that speak S3."""
