"""Finding what would make a deployment fail, or fail to go back, before the first one."""
