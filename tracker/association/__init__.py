"""Poses to identities: online tracker, offline linking, interpolation, smoothing."""
