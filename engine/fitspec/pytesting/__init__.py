"""What the pytest plugin is made of; nothing here is imported where there is no specification."""
