"""The local web page that shows a run, leads to its doubtful places and lets a person correct them."""
