"""The version of this package; no other module may say it."""

VERSION = "0.1.0"
