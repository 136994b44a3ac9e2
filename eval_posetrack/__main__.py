"""`python -m eval_posetrack GROUND_TRUTH PREDICTIONS...`."""

import sys

from eval_posetrack.cli import main

sys.exit(main())
