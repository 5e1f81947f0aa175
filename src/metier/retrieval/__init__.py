"""Finding the capabilities nearest to a task, by meaning and by wording."""
