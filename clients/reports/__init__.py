"""Reports: what the results of runs come to, as tables, files and plots."""
