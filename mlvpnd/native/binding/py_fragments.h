/* The native FragmentTable as the engine needs it. */
#ifndef MLVPND_PY_FRAGMENTS_H
#define MLVPND_PY_FRAGMENTS_H

#include "sending/fragments.h"
#include "binding/native.h"

struct fragments_object {
    PyObject_HEAD struct fragments table;
};

extern PyTypeObject *native_FragmentTable_type;

#endif
