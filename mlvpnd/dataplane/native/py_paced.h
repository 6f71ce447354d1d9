#ifndef MLVPND_PY_PACED_H
#define MLVPND_PY_PACED_H

#include "native.h"
#include "paced.h"

struct paced_object {
    PyObject_HEAD
    struct paced paced;
};

extern PyTypeObject *native_PacedScheduler_type;

#endif
