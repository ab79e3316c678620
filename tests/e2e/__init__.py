"""Stories in a real browser; a package, so that its JupyterLab ends with it."""
