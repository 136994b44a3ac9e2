"""Campaigns against the product, as a hostile user would run them: `python -m tests.campaigns.NAME --count N --seed S`.

Each tries N cases that follow from the seed, runs `posetrail` on them as a process of its own (sandbox.py), and prints
how many ended how. What must not happen is a finding: its input, output and command are kept in the folder of --keep,
and `--only K` runs case K again.

    videos   `track --video` on damaged and strange videos             kills   SIGKILL, SIGINT, SIGTERM at any moment
    files    every kind of file that is read, mutated                   disc    full discs, quotas, failing renames
    clock    clocks that jump or crawl                           fetch   `models fetch` from hostile servers
    lock     two processes in one folder
"""
