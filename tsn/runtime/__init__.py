"""Shared infrastructure: errors, files, progress, jobs, GPUs."""
