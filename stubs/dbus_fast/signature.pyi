from dbus_next.signature import Variant as Variant
