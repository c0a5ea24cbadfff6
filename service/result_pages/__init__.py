"""The pages of a result for people: a PDF of one or two pages, in the language of the settings."""
