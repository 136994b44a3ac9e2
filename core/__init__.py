"""The nouns every room speaks: skeletons, arrays of people, similarities, weights, runtimes. No loop, no network."""
