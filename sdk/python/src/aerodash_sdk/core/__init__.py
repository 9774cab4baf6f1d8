"""The whole protocol without I/O: requests are built and replies are read here; clients only carry bytes."""
