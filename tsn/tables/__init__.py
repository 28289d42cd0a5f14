"""Tables of experiments beside the published figures: what they compare, and filling them."""
