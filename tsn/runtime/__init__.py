"""What everything rests on: errors, files, progress, jobs, GPUs."""
