"""The manifest of a folder of SQL files, and the plan that is made of both.

Only `model` can be read without the parser.
"""
