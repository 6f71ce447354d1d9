"""The native twin's structs as the objects that the protocol knows. C owns what they show; nothing stands twice."""
