"""gramr2's judges inside other evaluation tools, each in a module that imports its tool."""
