"""The commands, a module each; all but the option parser is imported when one is called."""
