"""The `posetrail` program, also `python -m posetrail`: starts the command line unless other files are in its way."""

from __future__ import annotations

import sys

from posetrail.shadowing import ShadowedPackageError, import_own


def main() -> None:
    """Run the command line; one line and exit code 2 where another file is imported in place of posetrail's."""
    try:
        start = import_own("tracker.cli.start")
    except ShadowedPackageError as error:
        sys.stderr.write(f"posetrail: {error}\n")
        sys.exit(2)
    start.main()


if __name__ == "__main__":
    main()
