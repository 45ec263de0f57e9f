"""The stages of an episode, a file each: what each reads, does and makes."""
