"""From video to tracks: inference, association, runs, batches, files and the command line."""
