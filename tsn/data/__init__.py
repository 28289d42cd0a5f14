"""Input pipeline: snippet sampling, transforms, data sets, loader."""
