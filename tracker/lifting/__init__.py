"""2-D tracks to 3-D tracks: pure functions on arrays, without files or networks of their own."""
