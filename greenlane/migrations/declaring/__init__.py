"""The manifest of a folder of SQL files, and the plan that is made of both.

Only `model` and `checking` can be imported without the parser.
"""
