"""What must survive: kill -9, a PACS that is away, hostile input, a flood."""
