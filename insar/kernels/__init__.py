"""Compiled kernels: plain arrays and scalars, no files, no strings."""
