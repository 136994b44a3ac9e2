"""From video to tracks: inference, association, runs, batches, files and the command line.

Modules log to `logging.getLogger(__name__)`; nothing is shown unless the application configures logging.
"""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())
