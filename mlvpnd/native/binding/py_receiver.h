/* The Python object around struct receiver. */
#ifndef MLVPND_PY_RECEIVER_H
#define MLVPND_PY_RECEIVER_H

#include "binding/py_path.h"
#include "receiving/receiver.h"

struct receiver_object {
    PyObject_HEAD struct receiver receiver;
    struct native_paths paths;
    PyObject *reorder; /* ReorderBuffer, or None */
    PyObject *copies;  /* CopyFilter, or None */
};

extern PyTypeObject *native_Receiver_type;

#endif
