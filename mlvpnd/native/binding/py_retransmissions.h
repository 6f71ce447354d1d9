#ifndef MLVPND_PY_RETRANSMISSIONS_H
#define MLVPND_PY_RETRANSMISSIONS_H

#include "binding/native.h"
#include "sending/retransmissions.h"

struct retransmissions_object {
    PyObject_HEAD struct retransmissions seen;
};

extern PyTypeObject *native_Retransmissions_type;

#endif
