"""Training of bottom-up networks: recipes, samples of whole images, the whole training."""
