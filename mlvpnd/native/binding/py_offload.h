#ifndef MLVPND_PY_OFFLOAD_H
#define MLVPND_PY_OFFLOAD_H

#include "offload/coalesce.h"
#include "binding/native.h"

struct coalescer_object {
    PyObject_HEAD struct coalescer coalescer;
};

extern PyTypeObject *native_Coalescer_type;

#endif
