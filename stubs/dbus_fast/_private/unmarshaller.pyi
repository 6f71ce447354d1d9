from dbus_next._private.unmarshaller import Unmarshaller as Unmarshaller
