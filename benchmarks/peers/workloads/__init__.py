"""The chain as each tool requires it; each module runs in the environment of its tool."""
