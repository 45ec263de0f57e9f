"""Books of tabletop games, in six passes from a file to a corpus that answers with the page."""
