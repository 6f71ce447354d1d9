import enum
from typing import Any

class MessageType(enum.Enum):
    METHOD_CALL = 1
    METHOD_RETURN = 2
    ERROR = 3
    SIGNAL = 4

class MessageFlag(enum.IntFlag):
    NONE = 0
    NO_REPLY_EXPECTED = 1
    NO_AUTOSTART = 2
    ALLOW_INTERACTIVE_AUTHORIZATION = 4

class Variant:
    signature: str
    value: Any
    def __init__(self, signature: str, value: Any) -> None: ...

class Message:
    body: list[Any]
    def __init__(
        self,
        destination: str | None = ...,
        path: str | None = ...,
        interface: str | None = ...,
        member: str | None = ...,
        message_type: MessageType = ...,
        flags: MessageFlag = ...,
        error_name: str | None = ...,
        reply_serial: int | None = ...,
        sender: str | None = ...,
        unix_fds: list[int] = ...,
        signature: str = ...,
        body: list[Any] = ...,
        serial: int = ...,
    ) -> None: ...
    def _marshall(self, negotiate_unix_fd: bool = ...) -> bytearray: ...
