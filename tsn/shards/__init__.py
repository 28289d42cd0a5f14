"""HDF5 shards of frames and flow: format, building, reading, quarantine."""
