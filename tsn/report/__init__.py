"""Results for people: figures, and a page that shows a whole run."""
