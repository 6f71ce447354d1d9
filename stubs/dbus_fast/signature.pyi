from dbus_next.signature import SignatureTree as SignatureTree
from dbus_next.signature import Variant as Variant
