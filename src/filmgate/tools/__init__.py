"""Tools are other people's programs, as plain functions and small classes."""
