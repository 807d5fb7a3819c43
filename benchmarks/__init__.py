"""What Bystander costs: generated traffic, and the stages and the whole measured on it (``make bench``)."""
