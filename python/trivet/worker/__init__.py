"""The process that imports the app and runs it; nothing else.

`process` is its life, `loading` finds and checks the app, `serving` runs it on the native loop.

Length: a file for each thing that a process with somebody else's code in it has to see to.
"""
