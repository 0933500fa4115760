"""ms-swift's plugin, in a folder of its own: ms-swift puts the folder of a plugin in front of ``sys.path``, where a file such as
``inspect.py`` would hide a module of Python's."""
