"""The nouns every room speaks: skeletons, arrays of people, similarities, weights, runtimes. No loop, no network."""

import os

# ONNX Runtime, from 1.29 on, tells Microsoft of every process that imports it, unless this is set before; videos of
# people are followed in private.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
