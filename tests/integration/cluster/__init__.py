"""A cluster of several hosts under load, and what breaks it. README.md is the tour."""
