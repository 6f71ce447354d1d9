from dbus_next.message import Message as Message
