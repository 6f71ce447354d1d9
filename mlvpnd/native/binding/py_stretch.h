#ifndef MLVPND_PY_STRETCH_H
#define MLVPND_PY_STRETCH_H

#include "binding/native.h"
#include "sending/stretch.h"

struct stretch_object {
    PyObject_HEAD struct stretch stretch;
};

extern PyTypeObject *native_Stretch_type;

#endif
