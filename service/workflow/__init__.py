"""The durable way of a study: complete, read, measure, report, deliver, confirm."""
