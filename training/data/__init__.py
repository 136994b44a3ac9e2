"""Readers of annotated images, one file for each format, and checks of them; `read.py` has `read_samples`."""
