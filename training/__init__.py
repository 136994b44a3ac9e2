"""Training of pose estimators: data sets, augmentation, targets, losses, recipes and one loop."""
