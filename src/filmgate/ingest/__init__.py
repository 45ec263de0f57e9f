"""Entry points for programs that run each pass of the rulebook pipeline themselves."""
