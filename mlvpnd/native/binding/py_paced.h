#ifndef MLVPND_PY_PACED_H
#define MLVPND_PY_PACED_H

#include "binding/native.h"
#include "sending/paced.h"

struct paced_object {
    PyObject_HEAD struct paced paced;
};

extern PyTypeObject *native_PacedScheduler_type;

#endif
