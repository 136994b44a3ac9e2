"""The way of a frame: read, detect, place joints, carry, drop duplicates. It is handed its networks."""
