"""How often the judge is wrong, beside other ways to judge, on the same synthetic services."""
