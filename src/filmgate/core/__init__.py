"""Domain model without IO: decisions as pure values, their contracts, and ports."""
