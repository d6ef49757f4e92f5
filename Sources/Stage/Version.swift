/// Of all tools; the changelog's newest entry.
public let tgpipeVersion = "0.1.0"
