"""The chain as each tool wants it written; each module runs in that tool's own environment."""
