"""The metrics: pure functions on arrays that return counts, which add up over sequences."""
