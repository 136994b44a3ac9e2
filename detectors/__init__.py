"""Image to person boxes: one network per file."""
