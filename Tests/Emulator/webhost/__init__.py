"""A web server that plays the internet for download tests, with its faults."""
