collect_ignore = ["inner"]
