from typing import Any

from .constants import MessageFlag, MessageType

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
