"""Results for people: pictures, and a page that shows a whole run."""
