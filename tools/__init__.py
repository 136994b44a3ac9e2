"""Programs for developers: CI, pins of dependencies, conversion of the included models. Not installed."""
