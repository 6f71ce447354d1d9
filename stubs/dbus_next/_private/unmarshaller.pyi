import io

from dbus_next.message import Message

class Unmarshaller:
    def __init__(self, stream: io.BytesIO) -> None: ...
    def unmarshall(self) -> Message | None: ...
