/* The Python object around the struct of reorder.h. */
#ifndef MLVPND_PY_REORDER_H
#define MLVPND_PY_REORDER_H

#include "binding/native.h"
#include "receiving/reorder.h"

struct reorder_buffer_object {
    PyObject_HEAD struct reorder_buffer buffer;
};

extern PyTypeObject *native_ReorderBuffer_type;

#endif
