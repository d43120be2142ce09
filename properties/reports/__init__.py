"""What is made from the one record: JSON and its schema, JUnit XML, Markdown, a badge, a page."""
