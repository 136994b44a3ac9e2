"""What we claim about speed and accuracy, as programs that anybody can run."""
