"""Books of many formats, read line by line in a process of their own."""
