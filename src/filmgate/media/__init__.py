"""Values for time and space in media: presentation times, spans, boxes and streams."""
