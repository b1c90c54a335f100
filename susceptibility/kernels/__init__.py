"""Compiled loops over plain arrays and scalars; nothing here knows of files, names or units."""
