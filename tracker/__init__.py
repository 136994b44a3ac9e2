"""Frames to tracks: the loop, box propagation, association, video in, files out, command line."""
