"""One clip, one folder: run record, resume, segments."""
