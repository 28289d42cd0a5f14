"""What a network is fed with: snippet sampling, transforms, data sets, loader."""
