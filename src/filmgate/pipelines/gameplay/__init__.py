"""The gameplay pipeline: game sessions, extracted once, judged again and again."""
