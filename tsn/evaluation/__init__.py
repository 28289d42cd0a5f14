"""The 25 x 10 test protocol, metrics and late fusion."""
