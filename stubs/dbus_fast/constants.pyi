from dbus_next.constants import MessageFlag as MessageFlag
from dbus_next.constants import MessageType as MessageType
