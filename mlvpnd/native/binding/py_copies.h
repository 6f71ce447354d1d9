/* The Python object around the struct of copies.h. */
#ifndef MLVPND_PY_COPIES_H
#define MLVPND_PY_COPIES_H

#include "receiving/copies.h"
#include "binding/native.h"

struct copy_filter_object {
    PyObject_HEAD struct copy_filter copies;
};

extern PyTypeObject *native_CopyFilter_type;

#endif
