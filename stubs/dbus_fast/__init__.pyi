from dbus_next import Message as Message
from dbus_next import MessageFlag as MessageFlag
from dbus_next import MessageType as MessageType
from dbus_next import Variant as Variant
