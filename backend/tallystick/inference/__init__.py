"""Models on disk and their running: manifests, verified folders, runners. Knows `protocol` only."""
