"""What is kept: the spool of calls in progress, the recordings, and the index over them."""
