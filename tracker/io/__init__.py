"""Video in and out, pose log, writers, importers, drawing."""
