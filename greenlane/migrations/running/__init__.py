"""One statement, one slice at a time, safe to kill anywhere.

Only `model` can be read without the parser and the driver.
"""
