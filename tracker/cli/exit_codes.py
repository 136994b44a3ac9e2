"""Exit codes of the command line; 143 and 129 (SIGTERM, SIGHUP) come from the signal's number."""

UNUSABLE = 2
"""The input or a flag cannot be used; one line says why and what to do."""
SOME_FAILED = 3
"""Some of several inputs failed; one line for each."""
INTERRUPTED = 130
"""Stopped by Ctrl-C (128 + SIGINT); finished frames are kept."""
INTERNAL_ERROR = 1
"""A bug of posetrail; the traceback is printed."""
