"""Readers of annotated images: files of each data set to Samples."""
