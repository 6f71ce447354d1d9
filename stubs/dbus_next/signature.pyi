from typing import Any

class SignatureTree:
    types: list[Any]
    def __init__(self, signature: str) -> None: ...
    def verify(self, body: list[Any]) -> bool: ...

class Variant:
    signature: str
    value: Any
    def __init__(self, signature: str, value: Any) -> None: ...
