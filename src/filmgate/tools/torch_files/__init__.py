"""`.pt` files as torch reads and writes them, without torch: written, and read by the piece."""
