"""The command line: parse, call the API, render its report."""
