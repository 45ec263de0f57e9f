"""Read and write torch's `.pt` files without torch; single tensors and rows can be read alone."""
