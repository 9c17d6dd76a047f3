"""The process that imports the app and runs it; nothing else.

`process` is its life, `loading` finds and checks the app, `serving` runs it on the native loop.
"""
